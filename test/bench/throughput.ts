import { helperExample, type BenchTable } from './measure.js'

/** What helper/examples/throughput.rs prints: medians of interleaved runs. */
interface Output {
  readonly bytes: number
  readonly repeats: number
  readonly rows: readonly {
    readonly way: string
    readonly bytesPerSecond: number
    readonly ratio: number
    /** Both sides and all threads. */
    readonly cpuSecondsPerGib: number
  }[]
}

/** Pre-copy's first round over random pages into populated memory, against a bare loopback copy of the same bytes. */
export async function throughputBench(): Promise<BenchTable> {
  const data = await helperExample<Output>('throughput')
  return {
    title: `Pre-copy throughput, ${(data.bytes / 2 ** 30).toFixed(0)} GiB of random pages, median of ${data.repeats}`,
    note: 'ratio: to the bare loopback TCP copy of the same bytes in the same run',
    columns: ['way', 'GB/s', 'ratio', 'CPU s/GiB'],
    rows: data.rows.map((row) => [
      row.way,
      (row.bytesPerSecond / 1e9).toFixed(2),
      row.ratio.toFixed(2),
      row.cpuSecondsPerGib.toFixed(2),
    ]),
    data,
  }
}
