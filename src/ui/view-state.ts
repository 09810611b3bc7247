/** What is known of a run at this moment: a fold over its events, for both views. */
import type { BlackoutForecast, HelperEvent, Role } from '../protocol/protocol.js'
import type { PhaseName } from '../plan/plan.js'
import type { EventRecord, HoldPoint } from '../journal/event.js'

export interface ViewState {
  readonly run: string
  readonly profile: string
  readonly phase: PhaseName | null
  readonly phaseSinceUs: number
  readonly phases: readonly {
    readonly phase: PhaseName
    readonly outcome: string
    readonly elapsedUs: number
  }[]
  /** What is being done now, in the plan's words. */
  readonly doing: ReadonlyMap<number, string>
  readonly round: number
  readonly sentBytes: bigint
  readonly roundBytes: bigint
  readonly bytesPerSecond: bigint | null
  /** Dirty at the end of each round. */
  readonly dirty: readonly bigint[]
  readonly estimatedBlackoutUs: number | null
  /** From the best and worst of the last rounds. */
  readonly forecast: BlackoutForecast | null
  readonly downtimeLimitUs: number | null
  readonly cutoverStep: string | null
  readonly states: ReadonlyMap<string, { readonly source?: string; readonly destination?: string }>
  readonly held: { readonly point: HoldPoint; readonly sinceUs: number } | null
  readonly cancelAsked: boolean
  readonly over: boolean
}

export const EMPTY_VIEW: ViewState = {
  run: '',
  profile: '',
  phase: null,
  phaseSinceUs: 0,
  phases: [],
  doing: new Map(),
  round: 0,
  sentBytes: 0n,
  roundBytes: 0n,
  bytesPerSecond: null,
  dirty: [],
  estimatedBlackoutUs: null,
  forecast: null,
  downtimeLimitUs: null,
  cutoverStep: null,
  states: new Map(),
  held: null,
  cancelAsked: false,
  over: false,
}

/** The state after one more event. */
export function advance(state: ViewState, { atUs, body }: EventRecord): ViewState {
  switch (body.type) {
    case 'run-start':
      return {
        ...state,
        run: body.run,
        profile: body.profile,
        ...(body.limits !== undefined && { downtimeLimitUs: body.limits.downtimeLimitMs * 1000 }),
      }
    case 'phase-start':
      return { ...state, phase: body.phase, phaseSinceUs: atUs }
    case 'phase-end': {
      const { elapsedUs, outcome, phase } = body
      return { ...state, phase: null, held: null, phases: [...state.phases, { phase, outcome, elapsedUs }] }
    }
    case 'intent': {
      const limitMs = (body.params as { downtimeLimitMs?: unknown } | null)?.downtimeLimitMs
      return {
        ...state,
        doing: new Map(state.doing).set(body.step, body.text),
        ...(typeof limitMs === 'number' && { downtimeLimitUs: limitMs * 1000 }),
      }
    }
    case 'hold':
      return { ...state, held: body.state === 'held' ? { point: body.point, sinceUs: atUs } : null }
    case 'set':
      return body.limits === undefined
        ? state
        : { ...state, downtimeLimitUs: body.limits.downtimeLimitMs * 1000 }
    case 'cutover-asked':
    case 'hook':
      return state
    case 'recover-start':
      return { ...state, over: false }
    case 'outcome': {
      const doing = new Map(state.doing)
      doing.delete(body.step)
      return { ...state, doing }
    }
    case 'helper':
      return helperEvent(state, body.side, body.event)
    case 'cancel-asked':
      return { ...state, held: null, cancelAsked: true }
    case 'run-end':
      return { ...state, over: true }
  }
}

function helperEvent(state: ViewState, side: Role, event: HelperEvent): ViewState {
  switch (event.event) {
    case 'device-state': {
      const known = state.states.get(event.device) ?? {}
      return { ...state, states: new Map(state.states).set(event.device, { ...known, [side]: event.to }) }
    }
    case 'round-start':
      return { ...state, round: event.round, sentBytes: 0n, roundBytes: BigInt(event.bytes) }
    case 'progress':
      return {
        ...state,
        round: event.round,
        sentBytes: BigInt(event.sentBytes),
        roundBytes: BigInt(event.roundBytes),
        bytesPerSecond: BigInt(event.bytesPerSecond),
      }
    case 'round-end':
      return {
        ...state,
        sentBytes: BigInt(event.sentBytes),
        bytesPerSecond: BigInt(event.bytesPerSecond),
        dirty: [...state.dirty, BigInt(event.dirtyBytes)].slice(-40),
        estimatedBlackoutUs: event.forecast?.expectedUs ?? event.estimatedBlackoutUs,
        forecast: event.forecast ?? null,
      }
    case 'cutover':
      return { ...state, cutoverStep: event.step }
    default:
      return state
  }
}
