/** What a phase is, and what it may use: the link and the plan, never the terminal. */
import type { RequestOptions } from '../link/client.js'
import type {
  BlackoutForecast,
  CutoverReply,
  HelloReply,
  HelperErrorBody,
  Op,
  PrecopyReply,
  ReceiveReply,
  Requests,
  Role,
} from '../protocol/protocol.js'
import type { PhaseName, Plan, Step, UndoStep } from '../plan/plan.js'
import { needsNewer } from '../protocol/protocol.js'
import { withRun } from '../plan/sockets.js'
import type { HoldPoint, Profile } from '../profile/profile.js'
import type { HookPoint } from '../points.js'

/** A helper as the phases need it; src/link's HelperClient is one. */
export interface Helper {
  readonly side: Role
  readonly label: string
  readonly alive: boolean
  /** Settles when the helper is gone. */
  readonly ended?: Promise<unknown>
  readonly helloReply: HelloReply
  request<K extends Op>(
    op: K,
    params: Requests[K]['params'],
    options?: RequestOptions,
  ): Promise<Requests[K]['reply']>
}

/** One request with what a person reads about it, and what takes it back. */
export interface Call<K extends Op> {
  readonly side: Role
  readonly op: K
  readonly params: Requests[K]['params']
  readonly text: string
  readonly undo?: UndoStep
}

export type Settled<T> =
  { readonly ok: true; readonly reply: T } | { readonly ok: false; readonly error: HelperErrorBody }

/** What phases learn and hand on. */
export interface RunState {
  /** The destination's side of the transfer, under way since the helpers were connected. */
  receive: Promise<Settled<ReceiveReply>> | null
  precopy: PrecopyReply | null
  cutover: CutoverReply | null
  /** The destination runs: from here on nothing is undone. */
  committed: boolean
  /** The source may have written COMMIT and its outcome is not known. */
  outcomeUnknown: boolean
  /** The destination is known to have discarded the run. */
  peerDiscarded: boolean
  /** Devices left in a state that needs a person, on either side. */
  readonly needsPerson: HelperErrorBody[]
  /** Things that went wrong and changed nothing about the outcome. */
  readonly problems: HelperErrorBody[]
}

/** The bounds of a run as they are now: the profile's, or what `ferry set` put in their place. */
export interface Limits {
  readonly downtimeLimitMs: number
  /** Bytes per second; null: no cap. */
  readonly bandwidth: bigint | null
  readonly streams: number
}

/** The end of a round of pre-copy, as far as it is judged by. */
export interface RoundEnd {
  readonly round: number
  readonly forecast: BlackoutForecast | null
  readonly expectedUs: number
}

/** What an operator has in hand while a run is under way: limits, holds, hooks. */
export interface Steering {
  readonly limits: Limits
  /** What the last round said; null before the first one ended. */
  readonly lastRound: RoundEnd | null
  holdsAt(point: HoldPoint): boolean
  /** Waits at the point until the run is continued. Rejects when it is cancelled or a helper ends meanwhile. */
  hold(point: HoldPoint): Promise<void>
  hasHooks(at: HookPoint): boolean
  /** Runs the hooks of a point one after the other. Rejects when one fails whose failure aborts. */
  hooks(at: HookPoint): Promise<void>
  /** Kills what hooks still run inside a blackout that is over. */
  endPauses(): Promise<void>
  /** Resolves at the end of the first round that `enough` accepts, or after `timeoutMs`. */
  round(enough: (round: RoundEnd) => boolean, timeoutMs: number): Promise<void>
}

export interface RunSession {
  readonly run: string
  readonly profile: Profile
  readonly plan: Plan
  readonly source: Helper
  /** Null for commands that work on the source alone. */
  readonly destination: Helper | null
  readonly state: RunState
  readonly cancelAsked: boolean
  /** Whether a request of this op was ever sent to this side, whatever came of it. */
  attempted(side: Role, op: Op): boolean
  /** Journals the intent, sends the request, journals the outcome, and remembers how to take it back. */
  step<K extends Op>(call: Call<K>): Promise<Requests[K]['reply']>
  /** The same without waiting: the outcome is journaled when it comes. Never rejects. */
  background<K extends Op>(call: Call<K>): Promise<Settled<Requests[K]['reply']>>
  /** Takes back, last first, every step of a phase that was done. Failures become problems. */
  undoSteps(phase: PhaseName): Promise<void>
  /** Waits; cut short by a cancel. */
  pause(ms: number): Promise<void>
}

/**
 * A phase either ends having done all it stands for, or throws. `undo` is called for every phase that was started,
 * in reverse order, also for one that threw half-way; it does what it can and does not throw.
 */
export interface Phase {
  readonly name: PhaseName
  run(session: RunSession, steering: Steering): Promise<void>
  undo(session: RunSession): Promise<void>
}

/** Carries out the plan's own steps of one phase, in the plan's order; on one side only if there is but one. */
export async function runPlanned(session: RunSession, phase: PhaseName): Promise<void> {
  for (const step of session.plan.steps) {
    if (step.phase !== phase) continue
    if (step.side === 'destination' && session.destination === null) continue
    await session.step(withWords(withRun(step, session.run), session) as Step & Call<Op>)
  }
}

/**
 * What a claim says of the run to a helper that knows it. One that knows no grace undoes a run whose ferry it loses at
 * once, and so does one that has no peer; one that does not know how the run ends keeps its rights.
 */
function withWords(step: Step, { destination, profile, source }: RunSession): Step {
  if (step.op !== 'claim' || destination === null) return step
  const { graceMs } = profile.migration
  const helper = step.side === 'source' ? source : destination
  const words = {
    ...(graceMs !== null && { graceMs }),
    ...(step.side === 'destination' && { then: profile.destination.then.kind }),
  }
  const knows = needsNewer(helper.helloReply.protocol, 'claim', words) === undefined
  return knows ? { ...step, params: { ...step.params, ...words } } : step
}
