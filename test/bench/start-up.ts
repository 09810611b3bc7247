import { execa } from 'execa'
import { FERRY, median, type BenchTable } from './measure.js'

const REPEATS = 10
const BASELINE = 'node -e 0 (baseline)'
/** What is measured, and the ratio it should stay below. */
const COMMANDS: readonly (readonly [name: string, args: readonly string[], goal: number | null])[] = [
  [BASELINE, ['-e', '0'], null],
  ['ferry --help', [FERRY, '--help'], 1.8],
  ['ferry migrate --help', [FERRY, 'migrate', '--help'], null],
  ['ferry validate', [FERRY, 'validate', 'profiles/quickstart.yaml'], 2.5],
  ['ferry plan', [FERRY, 'plan', 'profiles/quickstart.yaml'], 4],
]

/** Wall time of whole commands, interleaved, against starting Node with nothing to do. */
export async function startUpBench(): Promise<BenchTable> {
  const times = new Map<string, number[]>()
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [name, args] of COMMANDS) {
      const began = performance.now()
      await execa(process.execPath, args)
      times.set(name, [...(times.get(name) ?? []), performance.now() - began])
    }
  }
  const base = median(times.get(BASELINE) ?? [])
  const medians = COMMANDS.map(([name, , goal]) => {
    const ms = median(times.get(name) ?? [])
    return { name, ms, ratio: ms / base, goal }
  })
  return {
    title: `Start-up, median of ${REPEATS}`,
    note: 'ratio: to starting Node with nothing to do',
    columns: ['command', 'ms', 'ratio', 'goal'],
    rows: medians.map(({ goal, ms, name, ratio }) => [
      name,
      ms.toFixed(0),
      ratio.toFixed(2),
      goal === null ? '' : goal.toFixed(1),
    ]),
    data: medians,
  }
}
