import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { FERRY, median, type BenchTable } from './measure.js'

const REPEATS = 3
/** Dirty memory left at the stop: the device rewrites a window of this size faster than a round takes. */
const WINDOWS_MIB = [1, 4, 16, 64, 256]
const STATE = '1MiB'

interface Run {
  readonly blackoutUs: number
  readonly lastBytes: number
  readonly residentBytes: number
}

/** What this needs of a run's report. */
interface Moved {
  readonly cutover: { readonly blackout: { readonly totalUs: number }; readonly lastBytes: string }
  readonly resident: { readonly source: string; readonly destination: string }
}

/** A simulated function that writes its window over and over, and nothing else. */
function profile(windowMib: number): string {
  const sim =
    `{ model: function, trackers: [device], flags: [stop-copy, p2p], state: ${STATE}, pattern: sequential, ` +
    `window: { iova: 0x0, size: ${windowMib}MiB }, writes: 2GiB/s, seed: 7 }`
  return [
    'version: 1',
    `name: blackout-${windowMib}`,
    'source: { host: local }',
    'destination: { host: local, listen: "127.0.0.1:0", then: close }',
    'memory:',
    '  - { name: ram, iova: 0x0, size: 512MiB, backing: memfd, fill: { seed: 3, zero: 0% } }',
    'devices:',
    `  - { name: nic, source: { sim: ${sim} }, destination: { sim: ${sim} } }`,
    'migration:',
    '  downtimeLimit: 20s',
    '  precopy: { rounds: 3, time: 20s }',
    '  onNotConverged: cutover',
    'transport: { loopback: true }',
    '',
  ].join('\n')
}

async function migrate(dir: string, windowMib: number): Promise<Run> {
  const file = path.join(dir, `window-${windowMib}.yaml`)
  await writeFile(file, profile(windowMib))
  const args = [FERRY, 'migrate', file, '--json', '--state-dir', path.join(dir, 'state')]
  const { stdout } = await execa(process.execPath, args)
  const { report } = (JSON.parse(stdout) as { result: { report: Moved } }).result
  return {
    blackoutUs: report.cutover.blackout.totalUs,
    lastBytes: Number(report.cutover.lastBytes),
    residentBytes: Math.max(Number(report.resident.source), Number(report.resident.destination)),
  }
}

/** The blackout by what is left to send, and what the helpers hold in memory besides the workload's own. */
export async function blackoutBench(): Promise<BenchTable> {
  const dir = await mkdtemp(path.join(tmpdir(), 'ferry-bench-'))
  try {
    const data = []
    for (const windowMib of WINDOWS_MIB) {
      const runs: Run[] = []
      for (let repeat = 0; repeat < REPEATS; repeat++) runs.push(await migrate(dir, windowMib))
      data.push({
        windowMib,
        leftMib: median(runs.map((run) => run.lastBytes)) / 2 ** 20,
        blackoutMs: median(runs.map((run) => run.blackoutUs)) / 1000,
        residentMib: Math.max(...runs.map((run) => run.residentBytes)) / 2 ** 20,
      })
    }
    const smallest = data[0]?.blackoutMs ?? Number.NaN
    return {
      title: `Blackout by dirty bytes left, ${STATE} of device state, plain, median of ${REPEATS}`,
      note: 'ratio: to the smallest window of the same run; resident: the larger helper, workload memory not counted',
      columns: ['window MiB', 'left MiB', 'blackout ms', 'ratio', 'resident MiB'],
      rows: data.map((row) => [
        String(row.windowMib),
        row.leftMib.toFixed(1),
        row.blackoutMs.toFixed(1),
        (row.blackoutMs / smallest).toFixed(1),
        row.residentMib.toFixed(1),
      ]),
      data,
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
