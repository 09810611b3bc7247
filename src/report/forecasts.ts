/** What was forecast of the blackout, when, and what it was. */
import type { BlackoutForecast, CutoverReply } from '../protocol/protocol.js'
import type { EventRecord, PlanForecast } from '../journal/event.js'

export interface Forecasts {
  /** Before the run; null in older journals, and where nothing is moved. */
  readonly plan: PlanForecast | null
  /** After the last round; null without one. */
  readonly lastRound: {
    readonly round: number
    readonly expectedUs: number
    readonly range: BlackoutForecast | null
  } | null
  /** By the helper, right before it stopped the devices. */
  readonly cutover: BlackoutForecast | null
  /** Null when the cutover did not come to its end: a stop that was undone is not a blackout. */
  readonly happenedUs: number | null
}

/** Null for a run in which there is nothing to compare. */
export function forecastsOf(records: readonly EventRecord[], cutover: CutoverReply | null): Forecasts | null {
  const start = records[0]?.body
  const plan = (start?.type === 'run-start' ? start.expected : undefined) ?? null
  const rounds = records.flatMap(({ body }) =>
    body.type === 'helper' && body.event.event === 'round-end' ? [body.event] : [],
  )
  const last = rounds.at(-1)
  const forecast = cutover?.forecast ?? null
  if (plan === null && forecast === null) return null
  return {
    plan,
    lastRound:
      last === undefined
        ? null
        : {
            round: last.round,
            expectedUs: last.forecast?.expectedUs ?? last.estimatedBlackoutUs,
            range: last.forecast ?? null,
          },
    cutover: forecast,
    happenedUs: cutover?.outcome === 'running' ? cutover.blackout.totalUs : null,
  }
}
