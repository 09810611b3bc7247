/** What each tracker said, read by read, in a run that moved memory. */
import type { CutoverReply, TrackerRound } from '../protocol/protocol.js'
import type { EventRecord } from '../journal/event.js'

/** One read of all trackers. */
export interface TrackerRead {
  /** At the end of a round of pre-copy; or for the last pages, before the devices were stopped and after. */
  readonly at: 'round' | 'before-stop' | 'after-stop'
  /** The round that had just ended; null for the last pages. */
  readonly round: number | null
  readonly trackers: readonly TrackerRound[]
  /** Pages that at least one tracker named. */
  readonly unionPages: number
}

/** In order. Empty for a journal whose helper did not tell. */
export function trackerReads(
  records: readonly EventRecord[],
  cutover: CutoverReply | null,
): readonly TrackerRead[] {
  const rounds = records.flatMap(({ body }): TrackerRead[] => {
    if (body.type !== 'helper' || body.side !== 'source' || body.event.event !== 'round-end') return []
    const { round, trackers, unionPages } = body.event
    if (trackers === undefined || unionPages === undefined) return []
    return [{ at: 'round', round, trackers, unionPages }]
  })
  const last = (cutover?.reads ?? []).map(({ stopped, trackers, unionPages }): TrackerRead => ({
    at: stopped ? 'after-stop' : 'before-stop',
    round: null,
    trackers,
    unionPages,
  }))
  return [...rounds, ...last]
}

/**
 * What was sent again because a tracker calls every page dirty. What of it had been written is not known: that is what
 * such a tracker cannot tell.
 */
export interface EveryPage {
  readonly trackers: readonly string[]
  /** Rounds after the first that carried all of it, and the blackout when it came to last pages. */
  readonly times: number
  readonly blackout: boolean
  readonly pages: number
  readonly bytes: bigint
  /** Of `pages`, those no other tracker named; null when it was not told, or when several call every page dirty. */
  readonly onlyPages: number | null
}

/** Null when no tracker is of that sort, or nothing was sent again. `names`: the trackers of that sort. */
export function everyPageCost(
  names: readonly string[],
  reads: readonly TrackerRead[],
  cutover: CutoverReply | null,
  pageSize: number,
): EveryPage | null {
  const blackout = reads.some(({ at }) => at === 'after-stop') && (cutover?.lastPages ?? 0) > 0
  const rounds = reads.filter(({ at }) => at === 'round')
  // What the read after the last round named went nowhere unless the last pages were sent.
  const sent = blackout ? rounds : rounds.slice(0, -1)
  if (names.length === 0 || sent.length === 0) return null
  const largest = sent.map((read) => {
    const entries = read.trackers.filter(({ tracker }) => names.includes(tracker))
    return {
      pages: Math.max(0, ...entries.map(({ pages }) => pages)),
      only: entries.length === 1 ? entries[0]?.onlyPages : undefined,
    }
  })
  const pages = largest.reduce((sum, entry) => sum + entry.pages, 0)
  const only = largest.flatMap((entry) => (entry.only === undefined ? [] : [entry.only]))
  return {
    trackers: names,
    times: sent.length,
    blackout,
    pages,
    bytes: BigInt(pages) * BigInt(pageSize),
    onlyPages: only.length === sent.length ? only.reduce((sum, count) => sum + count, 0) : null,
  }
}
