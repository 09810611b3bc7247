/** How many pages the trackers named in the reads of a run, as figures to compare. */
import { CONSTANT } from './estimate.js'
import type { DirtyRead, TrackerReport } from '../report/report.js'

export interface Figures {
  /** Pages in one read. */
  readonly pages: { readonly min: number; readonly median: number; readonly max: number }
  /** Of these, in the median, the pages no other tracker named; null when the helper did not say. */
  readonly onlyPages: number | null
  /** Distinct pages of each read, in bytes over time; null where every read showed the same. */
  readonly bytesPerSecond: bigint | null
  /** The rate is more than what was written: pages that stay pinned are in it at every read. */
  readonly atMost: boolean
  /** The median as a share of the memory, 0 to 1. */
  readonly share: number
}

/** Of one tracker. Null when no read has it. */
export function trackerFigures(
  tracker: TrackerReport,
  reads: readonly DirtyRead[],
  pageSize: number,
  memoryBytes: bigint,
): Figures | null {
  const seen = reads.flatMap((read) => {
    const entry = read.trackers.find((one) => one.tracker === tracker.tracker)
    return entry === undefined ? [] : [{ ...entry, intervalUs: read.intervalUs }]
  })
  if (seen.length === 0) return null
  const only = seen.flatMap((entry) => (entry.onlyPages === undefined ? [] : [entry.onlyPages]))
  return {
    ...figures(
      seen.map((entry) => [entry.pages, entry.intervalUs]),
      CONSTANT.has(tracker.kind),
      pageSize,
      memoryBytes,
    ),
    onlyPages: only.length === seen.length ? median(only) : null,
  }
}

/** Of the union. Null without a read. */
export function unionFigures(
  trackers: readonly TrackerReport[],
  reads: readonly DirtyRead[],
  pageSize: number,
  memoryBytes: bigint,
): Figures | null {
  if (reads.length === 0) return null
  const constant = trackers.some(({ kind }) => CONSTANT.has(kind))
  return figures(
    reads.map((read) => [read.unionPages, read.intervalUs]),
    constant,
    pageSize,
    memoryBytes,
  )
}

function figures(
  reads: readonly (readonly [pages: number, intervalUs: number])[],
  constant: boolean,
  pageSize: number,
  memoryBytes: bigint,
): Figures {
  const pages = reads.map(([count]) => count)
  const total = pages.reduce((sum, count) => sum + count, 0)
  const timeUs = reads.reduce((sum, [, us]) => sum + us, 0)
  const middle = median(pages)
  const [min, max] = [Math.min(...pages), Math.max(...pages)]
  const same = constant && min === max
  return {
    pages: { min, median: middle, max },
    onlyPages: null,
    bytesPerSecond:
      same || timeUs <= 0 ? null : (BigInt(total) * BigInt(pageSize) * 1_000_000n) / BigInt(timeUs),
    atMost: constant,
    share: memoryBytes <= 0n ? 0 : Math.min(1, (middle * pageSize) / Number(memoryBytes)),
  }
}

/** The lower of the two in the middle of an even number, so that it is a figure that was seen. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}
