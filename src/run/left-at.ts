/** Where a ferry that died left its run, read from its journal: pure, and strict, because going on is never the only way. */
import type { EventRecord, SavedLimits } from '../journal/event.js'
import type { Limits } from '../phases/phase.js'
import type { PhaseName } from '../plan/plan.js'
import { hookKey } from './hooks.js'

export interface LeftAt {
  /** Phases that are behind, hooks and holds included. Pre-copy is made again: what was written since is to be sent. */
  readonly passed: ReadonlySet<PhaseName>
  /** Planned steps of the phase dirty-log that are done. */
  readonly tracking: number
  /** Side and op of every request that was sent. */
  readonly sent: ReadonlySet<string>
  /** The last step. */
  readonly steps: number
  /** Hooks that ended; one that had only begun is run again. */
  readonly hooks: ReadonlySet<string>
  readonly limits: Limits | null
  /** The run was continued from its hold. */
  readonly released: boolean
  /** When the hold ends that it is in; wall clock, milliseconds since the epoch. */
  readonly untilMs: number | null
  readonly scheduled: Scheduled | null
}
/** A cutover that was asked for later; `untilMs`: the end of its window, when it has one. */
export interface Scheduled {
  readonly atMs: number
  readonly untilMs: number | null
}

/** After these the run goes to its end or back without another owner. */
const ENDS: ReadonlySet<string> = new Set(['cutover', 'rollback', 'release', 'cancel', 'stay', 'exec'])
/** May be under way, or have failed, when ferry dies: the rest must be known to be done. */
const OPEN: ReadonlySet<string> = new Set(['receive', 'precopy', 'proceed', 'tune', 'take-up'])

/** Null: nobody can go on with it, or not safely. */
export function leftAt(records: readonly EventRecord[], damaged: number): LeftAt | null {
  const bodies = records.map(({ body }) => body)
  const [start] = bodies
  if (start?.type !== 'run-start' || start.command !== 'migrate' || start.whole === undefined) return null
  if (damaged > 0) return null
  const passed = new Set<PhaseName>()
  const hooks = new Set<string>()
  const sent = new Set<string>()
  const open = new Map<number, { readonly op: string; readonly phase: PhaseName }>()
  let steps = 0
  let tracking = 0
  let connected = false
  let limits: SavedLimits | null = start.limits ?? null
  let hold: { readonly state: string; readonly untilMs: number | null } | null = null
  let scheduled: Scheduled | null = null
  for (const body of bodies) {
    switch (body.type) {
      case 'run-end':
      case 'cancel-asked':
        return null
      case 'recover-start':
        if (body.goesOn !== true) return null
        break
      case 'phase-end':
        if (body.outcome !== 'ok') return null
        if (body.phase === 'pin' || body.phase === 'dirty-log') passed.add(body.phase)
        break
      case 'intent':
        if (ENDS.has(body.op)) return null
        sent.add(`${body.side} ${body.op}`)
        steps = Math.max(steps, body.step)
        open.set(body.step, body)
        break
      case 'outcome': {
        const intent = open.get(body.step)
        open.delete(body.step)
        // The destination's part of the run is over, or a step failed and the run was about to go back.
        if (intent === undefined || intent.op === 'receive') return null
        if (!body.ok && intent.op !== 'tune') return null
        if (intent.op === 'connect') connected = true
        if (intent.phase === 'dirty-log') tracking++
        break
      }
      case 'hook':
        if (body.ok) hooks.add(hookKey({ at: body.at, name: body.hook }))
        break
      case 'hold':
        if (body.state === 'timed-out') return null
        hold = { state: body.state, untilMs: body.untilMs ?? null }
        break
      case 'cutover-asked':
        scheduled =
          body.state === 'scheduled' && body.atMs !== undefined
            ? { atMs: body.atMs, untilMs: body.untilMs ?? null }
            : null
        break
      case 'set':
        limits = body.limits ?? limits
        break
      case 'run-start':
      case 'phase-start':
      case 'helper':
        break
    }
  }
  if (!connected || [...open.values()].some(({ op }) => !OPEN.has(op))) return null
  return {
    ...{ passed, tracking, sent, steps, hooks, scheduled },
    limits: limits && { ...limits, bandwidth: limits.bandwidth === null ? null : BigInt(limits.bandwidth) },
    released: hold?.state === 'released',
    untilMs: hold?.state === 'held' ? hold.untilMs : null,
  }
}
