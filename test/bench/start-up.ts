import { execa } from 'execa'
import { FERRY, median, type BenchTable } from './measure.js'

const REPEATS = 10
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'node -e 0 (baseline)': ['-e', '0'],
  'ferry --help': [FERRY, '--help'],
  'ferry migrate --help': [FERRY, 'migrate', '--help'],
  'ferry validate': [FERRY, 'validate', 'profiles/quickstart.yaml'],
  'ferry plan': [FERRY, 'plan', 'profiles/quickstart.yaml'],
}

/** Wall time of whole commands, interleaved, against starting Node with nothing to do. */
export async function startUpBench(): Promise<BenchTable> {
  const times = new Map<string, number[]>()
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [name, args] of Object.entries(COMMANDS)) {
      const began = performance.now()
      await execa(process.execPath, args)
      times.set(name, [...(times.get(name) ?? []), performance.now() - began])
    }
  }
  const medians = [...times].map(([name, values]) => ({ name, ms: median(values) }))
  const base = medians[0]?.ms ?? Number.NaN
  return {
    title: `Start-up, median of ${REPEATS}`,
    note: 'ratio: to starting Node with nothing to do',
    columns: ['command', 'ms', 'ratio'],
    rows: medians.map(({ name, ms }) => [name, ms.toFixed(0), (ms / base).toFixed(2)]),
    data: medians,
  }
}
