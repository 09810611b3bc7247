import type { ClaimParams, HelperErrorBody, HelperEvent, Role } from '../protocol/protocol.js'
import type { PhaseName } from '../plan/plan.js'
import type { HoldPoint, HostSpec, Profile, Then } from '../profile/profile.js'
import type { HookPoint } from '../points.js'

export type { HoldPoint, HookPoint }
export type CutoverState = 'scheduled' | 'waiting' | 'accepted' | 'refused' | 'missed'
export type Settable = 'downtime-limit' | 'bandwidth' | 'streams'
/** Where one side of a run is, for those who come after the ferry that started it. */
export interface SideAddress {
  readonly host: HostSpec
  /** Where its helper may answer when its owner is gone, likeliest first, and the folder of its records: on that host. */
  readonly sockets: readonly string[]
  readonly recordDir: string
  /** The devices of the run, by name. */
  readonly devices: readonly string[]
  /** Where its helper locked them. Only in a beginning that was made up for one that was lost. */
  readonly locks?: Pick<ClaimParams, 'lockDir' | 'devices'>
}
export interface SideAddresses {
  readonly source: SideAddress
  readonly destination: SideAddress
  readonly then: Then
  readonly releaseSource: Profile['releaseSource']
  readonly workload: string
  readonly handOut: Profile['handOut']
}
/** `bandwidth`: bytes per second, null: no cap. */
export interface SavedLimits {
  readonly downtimeLimitMs: number
  readonly bandwidth: string | null
  readonly streams: number
}
/** The blackout as it could be told before the run, in microseconds. */
export interface PlanForecast {
  /** What it cannot be shorter than. */
  readonly atLeastUs: number
  /** Null when nothing was measured that says how much is written. */
  readonly expectedUs: number | null
  readonly basis: {
    /** Bytes per second; `assumed`: the profile does not say how fast it is. */
    readonly bandwidth: string
    readonly assumed: boolean
    /** The `ferry dirty-log` run whose figures were taken. */
    readonly sample: string | null
  }
}
/**
 * The one stream of a run. The journal stores it line by line, the terminal shows it, the report is computed from
 * it: nothing a person sees about a run comes from anywhere else, so a saved journal replays all of it.
 */
export interface EventRecord {
  readonly seq: number
  /** ISO 8601, UTC, milliseconds. */
  readonly time: string
  /** Microseconds since the run began, monotonic. */
  readonly atUs: number
  readonly body: Event
}
export type Event =
  | {
      readonly type: 'run-start'
      readonly run: string
      readonly command: 'migrate' | 'pin' | 'dirty-log'
      readonly profile: string
      readonly file: string
      readonly version: string
      readonly plan: unknown
      /** ferry's own process. Absent in older journals. */
      readonly pid?: number
      /** What `ferry recover` and `ferry release` reach both sides by. Absent in older journals, and for `pin`. */
      readonly seats?: SideAddresses
      /** What the run begins with; `set` changes it. Absent in older journals, and for `pin`. */
      readonly limits?: SavedLimits
      readonly hold?: HoldPoint
      /** What was forecast before anything was started, and what that rests on. */
      readonly expected?: PlanForecast
      /** Socket the run answers at while it is under way: on ferry's own host. */
      readonly control?: string
      /** `ferry recover --profile` made it up, because the one that was written was lost. */
      readonly madeUp?: true
      /** Profile and plan, for a ferry that goes on with the run. Absent in older journals, and for `pin`. */
      readonly whole?: string
    }
  | { readonly type: 'phase-start'; readonly phase: PhaseName }
  | {
      readonly type: 'phase-end'
      readonly phase: PhaseName
      readonly outcome: 'ok' | 'failed' | 'cancelled'
      readonly elapsedUs: number
    }
  | {
      readonly type: 'intent'
      readonly step: number
      readonly phase: PhaseName
      readonly side: Role
      readonly op: string
      readonly text: string
      readonly params: unknown
    }
  | {
      readonly type: 'outcome'
      readonly step: number
      readonly ok: boolean
      readonly elapsedUs: number
      readonly reply?: unknown
      readonly error?: HelperErrorBody
    }
  | { readonly type: 'helper'; readonly side: Role; readonly event: HelperEvent }
  | { readonly type: 'cancel-asked' }
  /** The run waits at a point, until `untilMs` (wall clock, milliseconds since the epoch) at most, or was continued. */
  | {
      readonly type: 'hold'
      readonly point: HoldPoint
      readonly state: 'held' | 'released' | 'timed-out'
      readonly untilMs?: number
    }
  /**
   * A cutover asked for later, or at the first moment that fits; `state` tells what became of it. missed: its time passed
   * while no ferry drove the run, and the hold holds.
   */
  | {
      readonly type: 'cutover-asked'
      readonly state: CutoverState
      readonly atMs?: number
      /** The end of its window, when it has one. */
      readonly untilMs?: number
      readonly forecastUs?: number
      readonly limitUs?: number
    }
  | {
      readonly type: 'hook'
      readonly hook: string
      readonly at: HookPoint
      readonly on: 'source' | 'destination' | 'ferry'
      readonly ok: boolean
      readonly inBlackout: boolean
      readonly elapsedUs: number
      /** The last lines it wrote on stdout and stderr. */
      readonly output: readonly string[]
      readonly error?: HelperErrorBody
    }
  /** `ferry recover` took the run up again after its end; another `run-end` follows. */
  | {
      readonly type: 'recover-start'
      readonly epoch: number
      readonly version: string
      /** What a person said of the run, with its token: which side is to have the workload, whose host is dead. */
      readonly decided?: { readonly as: Role | null; readonly dead: Role | null }
      /** Both helpers had kept the run, and it goes on from where its ferry left it. */
      readonly goesOn?: true
    }
  /** `ferry set`. */
  | {
      readonly type: 'set'
      readonly key: Settable
      readonly value: string
      /** All of them from now on. Absent in older journals. */
      readonly limits?: SavedLimits
    }
  | {
      readonly type: 'run-end'
      readonly outcome: Outcome
      readonly exit: number
      readonly error?: HelperErrorBody
      readonly elapsedUs: number
      /** The side that had been declared dead was reached, and has nothing of the run that could run. */
      readonly found?: Role
      /** `ferry release --give-up`: both sides are closed, and nothing is left to recover. */
      readonly givenUp?: true
    }
export type Outcome =
  | 'done'
  | 'not-started'
  | 'cancelled'
  | 'rolled-back'
  | 'needs-person'
  | 'downtime-limit'
  | 'sides-disagree'
  | 'unknown'
