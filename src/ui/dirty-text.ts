/** What `ferry dirty-log` found: a table by round and tracker, and a small chart. */
import { CONSTANT, type Estimate } from '../forecast/estimate.js'
import type { DirtyRead, Report } from '../report/report.js'
import { bars } from './chart.js'
import { table } from './table.js'
import { count, duration, plural, rate, rateOver, size } from '../units.js'

export function dirtyText(
  report: Report,
  options: { readonly width?: number; readonly utf8: boolean },
): string | null {
  if (report.dirtyReads.length === 0) return null
  // What a tracker saw and no other did; with one tracker that is all of it.
  const exclusive = report.dirtyReads.some(
    ({ trackers }) => trackers.length > 1 && trackers.some(({ onlyPages }) => onlyPages !== undefined),
  )
  const columns = [
    { title: 'ROUND', align: 'right' as const },
    { title: 'AFTER', align: 'right' as const },
    { title: 'TRACKER' },
    { title: 'COVERS' },
    { title: 'PAGES', align: 'right' as const },
    ...(exclusive ? [{ title: 'UNIQUE', align: 'right' as const }] : []),
    { title: 'DIRTY', align: 'right' as const },
    { title: 'RATE', align: 'right' as const },
  ]
  const pageBytes = BigInt(report.pageSize ?? 4096)
  const constant = new Set(
    report.trackers.filter(({ kind }) => CONSTANT.has(kind)).map(({ tracker }) => tracker),
  )
  const covers = new Map(report.trackers.map((entry) => [entry.tracker, entry.covers.join(',')]))
  const rows = report.dirtyReads.flatMap((read) => {
    const start = [String(read.round), duration(read.intervalUs)]
    const trackers = read.trackers.map(({ onlyPages, pages, tracker }) => {
      const bytes = BigInt(pages) * pageBytes
      // What is dirty at every read, written or not, has no rate.
      const speed = constant.has(tracker) ? 'every read' : rateText(bytes, read.intervalUs)
      const only = exclusive ? [onlyPages === undefined ? '-' : count(onlyPages)] : []
      return [...start, tracker, covers.get(tracker) ?? '-', count(pages), ...only, size(bytes), speed]
    })
    if (trackers.length < 2) return trackers
    const speed = constant.size > 0 ? '-' : rateText(read.unionBytes, read.intervalUs)
    const blank = exclusive ? ['-'] : []
    const union = ['union', 'all', count(read.unionPages), ...blank, size(read.unionBytes), speed]
    return [...trackers, [...start, ...union]]
  })
  const charted = report.trackers.map(({ tracker }) => tracker).filter((tracker) => !constant.has(tracker))
  const parts = [table(columns, rows, options), chart(report.dirtyReads, charted, pageBytes, options.utf8)]
  return parts.filter((part) => part !== '').join('\n\n')
}

function rateText(bytes: bigint, intervalUs: number): string {
  const speed = rateOver(bytes, intervalUs)
  return speed === null ? '-' : rate(speed)
}

/** One line of bars for each tracker that has a rate, all to one scale. */
function chart(
  reads: readonly DirtyRead[],
  trackers: readonly string[],
  pageBytes: bigint,
  utf8: boolean,
): string {
  if (trackers.length === 0) return ''
  const series = trackers.map((tracker) => ({
    tracker,
    values: reads.map((read) => {
      const pages = read.trackers.find((entry) => entry.tracker === tracker)?.pages ?? 0
      return rateOver(BigInt(pages) * pageBytes, read.intervalUs) ?? 0n
    }),
  }))
  const max = series
    .flatMap(({ values }) => values)
    .reduce((high, value) => (value > high ? value : high), 0n)
  const widest = Math.max(...trackers.map((tracker) => tracker.length))
  const lines = series.map(
    ({ tracker, values }) =>
      `  ${tracker.padEnd(widest)}  ${bars(values, max, utf8)}  ${rate(values.at(-1) ?? 0n)}`,
  )
  return [`dirty rate by round, full height ${rate(max)}`, ...lines].join('\n')
}

/** The forecast, with what it takes for granted said first. */
export function estimateText(
  found: Estimate,
  given: { readonly bandwidth: bigint; readonly assumed: boolean; readonly downtimeLimitUs: number },
): string {
  const speed = `${rate(given.bandwidth)}${given.assumed ? ' (assumed, not measured; --bandwidth sets it)' : ''}`
  const writes =
    found.floorBytes === 0n
      ? `devices writing ${rate(found.dirtyBytesPerSecond)} as they did`
      : `and ${size(found.floorBytes)} in every round that no tracker tells apart, ` +
        (found.dirtyBytesPerSecond === 0n
          ? 'with no other write seen'
          : `with ${rate(found.dirtyBytesPerSecond)} written beyond that as it was`)
  const fits = found.converges
    ? `fits the limit of ${duration(given.downtimeLimitUs)}`
    : `does NOT fit the limit of ${duration(given.downtimeLimitUs)}`
  return [
    `estimate at ${speed}, ${writes}:`,
    `  ${plural(found.rounds, 'round')}, then ${size(found.remainingBytes)} left, about ${duration(found.blackoutUs)} of blackout: ${fits}`,
  ].join('\n')
}
