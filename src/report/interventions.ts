/** What was done to a run from outside, and what its hooks did. */
import type { HelperErrorBody } from '../protocol/protocol.js'
import type { Event, EventRecord, HoldPoint, Settable } from '../journal/event.js'

type HookEvent = Extract<Event, { type: 'hook' }>

export interface Interventions {
  readonly holds: readonly {
    readonly point: HoldPoint
    /** When it began, in microseconds since the run began. */
    readonly atUs: number
    readonly heldUs: number
    /** ended: the run was cancelled or failed while it was held, or its journal ends there. */
    readonly state: 'released' | 'timed-out' | 'ended'
  }[]
  readonly cutovers: readonly {
    readonly atUs: number
    readonly state: Extract<Event, { type: 'cutover-asked' }>['state']
    /** The moment it was asked for; wall clock, milliseconds since the epoch. */
    readonly atMs?: number
    /** The end of its window. */
    readonly untilMs?: number
    readonly forecastUs?: number
    readonly limitUs?: number
  }[]
  readonly hooks: readonly (Omit<HookEvent, 'type' | 'error'> & { readonly error: HelperErrorBody | null })[]
  readonly sets: readonly { readonly atUs: number; readonly key: Settable; readonly value: string }[]
}

export function interventionsOf(records: readonly EventRecord[]): Interventions {
  return {
    holds: holdsOf(records),
    cutovers: records.flatMap(({ atUs, body }) => {
      if (body.type !== 'cutover-asked') return []
      const { type: _, ...asked } = body
      return [{ atUs, ...asked }]
    }),
    hooks: records.flatMap(({ body }) => {
      if (body.type !== 'hook') return []
      const { error, type: _, ...hook } = body
      return [{ ...hook, error: error ?? null }]
    }),
    sets: records.flatMap(({ atUs, body }) =>
      body.type === 'set' ? [{ atUs, key: body.key, value: body.value }] : [],
    ),
  }
}

function holdsOf(records: readonly EventRecord[]): Interventions['holds'] {
  return records.flatMap(({ atUs, body }, index) => {
    if (body.type !== 'hold' || body.state !== 'held') return []
    const { point } = body
    const rest = records.slice(index + 1)
    const end = rest.find(
      (record) =>
        record.body.type === 'phase-end' ||
        record.body.type === 'cancel-asked' ||
        record.body.type === 'hold',
    )
    const state = end?.body.type === 'hold' && end.body.state !== 'held' ? end.body.state : 'ended'
    return [{ point, atUs, heldUs: ((end ?? records.at(-1))?.atUs ?? atUs) - atUs, state }]
  })
}
