/** Figures of a report, from replies and events. */
import type {
  DirtyReply,
  HelperEvent,
  MapReply,
  Role,
  StatusReply,
  TrackReply,
} from '../protocol/protocol.js'
import type { EventRecord } from '../journal/event.js'
import type { DirtyRead, PinReport, Report, RoundReport } from './report.js'
import type { Steps } from './steps.js'

/** Bytes as a journal carries them: a decimal string; in memory they may still be a bigint. */
export function bytesOf(value: string | number | bigint): bigint {
  return BigInt(value)
}

/** One entry for each container that was mapped. */
export function pinReports(steps: Steps): readonly PinReport[] {
  return steps.answered<MapReply>('map').map(({ params, reply, side }) => ({
    side,
    container: (params as { container: string }).container,
    bytes: bytesOf(reply.bytes),
    pages: reply.pages,
    maps: reply.maps,
    elapsedUs: reply.elapsedUs,
    lockedBytes: bytesOf(reply.lockedBytes),
  }))
}

type RoundStart = Extract<HelperEvent, { event: 'round-start' }>

export function roundReports(records: readonly EventRecord[]): readonly RoundReport[] {
  const starts = new Map<number, RoundStart>()
  const rounds: RoundReport[] = []
  for (const { body } of records) {
    if (body.type !== 'helper' || body.side !== 'source') continue
    if (body.event.event === 'round-start') starts.set(body.event.round, body.event)
    if (body.event.event !== 'round-end') continue
    const { bytesPerSecond, dirtyBytes, dirtyPages, elapsedUs, round, sentBytes, zeroPages } = body.event
    const start = starts.get(round)
    rounds.push({
      round,
      pages: start?.pages ?? 0,
      trackers: start?.trackers ?? [],
      sentBytes: bytesOf(sentBytes),
      zeroPages,
      elapsedUs,
      bytesPerSecond: bytesOf(bytesPerSecond),
      dirtyPages,
      dirtyBytes: bytesOf(dirtyBytes),
    })
  }
  return rounds
}

/** Reads outside a transfer; each tells what was written since the one before it. */
export function dirtyReads(steps: Steps): readonly DirtyRead[] {
  let sinceUs = steps.last<TrackReply>('track')?.answeredAtUs ?? 0
  return steps.answered<DirtyReply>('dirty').map(({ answeredAtUs, reply }, index) => {
    const atUs = answeredAtUs ?? sinceUs
    const intervalUs = atUs - sinceUs
    sinceUs = atUs
    return {
      round: index + 1,
      intervalUs,
      elapsedUs: reply.elapsedUs,
      trackers: reply.trackers,
      unionPages: reply.unionPages,
      unionBytes: bytesOf(reply.unionBytes),
    }
  })
}

/** Peaks of both helpers, as they told them when the run was committed. */
export function residentBytes(steps: Steps): Report['resident'] {
  const told = steps.answered<StatusReply>('status').filter(({ phase }) => phase === 'commit')
  const of = (role: Role): string | undefined =>
    told.findLast(({ side }) => side === role)?.reply.residentBytes
  const [source, destination] = [of('source'), of('destination')]
  if (source === undefined || destination === undefined) return null
  return { source: bytesOf(source), destination: bytesOf(destination) }
}
