/** Each tracker's share of every read in a migration, as a table. */
import type { Report } from '../report/report.js'
import type { EveryPage, TrackerRead } from '../report/tracker-reads.js'
import { table } from './table.js'
import { count, duration, plural, size } from '../units.js'

/** Null when the journal does not tell. */
export function trackerReadsText(
  { everyPage, trackerReads }: Report,
  options: { readonly width?: number },
): string | null {
  if (trackerReads.length === 0) return null
  const names = [...new Set(trackerReads.flatMap(({ trackers }) => trackers.map(({ tracker }) => tracker)))]
  const several = names.length > 1
  const columns = [
    { title: 'DIRTY PAGES' },
    ...names.flatMap((name) => [
      { title: name, align: 'right' as const },
      ...(several ? [{ title: 'UNIQUE', align: 'right' as const }] : []),
    ]),
    { title: 'UNION', align: 'right' as const },
  ]
  const rows = trackerReads.map((read) => [
    readText(read),
    ...names.flatMap((name) => {
      const entry = read.trackers.find(({ tracker }) => tracker === name)
      const only = entry?.onlyPages === undefined ? '-' : count(entry.onlyPages)
      return [entry === undefined ? '-' : count(entry.pages), ...(several ? [only] : [])]
    }),
    count(read.unionPages),
  ])
  const lines = [table(columns, rows, options)]
  if (everyPage !== null) lines.push(everyPageText(everyPage))
  const stops = trackerReads
    .filter(({ at }) => at !== 'after-stop')
    .flatMap(({ trackers }) => trackers.flatMap(({ stoppedUs }) => stoppedUs ?? []))
  if (stops.length > 0) {
    lines.push(
      `processes were stopped for ${plural(stops.length, 'read')} before the blackout, ${duration(Math.max(...stops))} at the longest`,
    )
  }
  return lines.join('\n')
}

function readText({ at, round }: TrackerRead): string {
  return at === 'round' ? `after round ${round}` : at === 'before-stop' ? 'before the stop' : 'after the stop'
}

function everyPageText({ blackout, bytes, onlyPages, pages, times, trackers }: EveryPage): string {
  const rounds = times - (blackout ? 1 : 0)
  const when = [...(rounds > 0 ? [plural(rounds, 'round')] : []), ...(blackout ? ['the blackout'] : [])].join(
    ' and ',
  )
  const only = onlyPages === null ? '' : `, ${count(onlyPages)} of them reported by no other tracker`
  return (
    `${trackers.join(' and ')} had ${count(pages)} pages (${size(bytes)}) sent again in ${when}${only}; ` +
    'how many of them the devices wrote is unknown'
  )
}
