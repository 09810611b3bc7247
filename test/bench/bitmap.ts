import { helperExample, type BenchTable } from './measure.js'

interface Output {
  readonly workloadGib: number
  readonly rows: readonly {
    readonly dirty: string
    readonly readUsPerGib: number
    readonly unionUsPerGib: number
    readonly scanUsPerGib: number
    readonly bitByBitUsPerGib: number
  }[]
}

/** Taking in a kernel's bitmap, the union of two, and the walk in runs, against a loop over single bits. */
export async function bitmapBench(): Promise<BenchTable> {
  const data = await helperExample<Output>('bitmap')
  return {
    title: `Dirty bitmap, ${data.workloadGib} GiB of 4 KiB pages, µs per GiB`,
    note: 'ratio: bit-by-bit loop over the same words, divided by the scan in runs',
    columns: ['dirty', 'read', 'union', 'scan', 'bit by bit', 'ratio'],
    rows: data.rows.map((row) => [
      row.dirty,
      row.readUsPerGib.toFixed(2),
      row.unionUsPerGib.toFixed(2),
      row.scanUsPerGib.toFixed(2),
      row.bitByBitUsPerGib.toFixed(1),
      (row.bitByBitUsPerGib / row.scanUsPerGib).toFixed(1),
    ]),
    data,
  }
}
