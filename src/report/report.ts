import type {
  BackendKind,
  BlackoutSplit,
  HelperErrorBody,
  PrecopyReply,
  Role,
  TrackerKind,
  TrackerRound,
} from '../protocol/protocol.js'
import type { PhaseName } from '../plan/plan.js'
import type { Event, Outcome } from '../journal/event.js'
import type { Forecasts } from './forecasts.js'
import type { Interventions } from './interventions.js'
import type { EveryPage, TrackerRead } from './tracker-reads.js'

/** What a journal says about its run. Times in microseconds, bytes as bigint. */
export interface Report {
  readonly run: string
  readonly command: Extract<Event, { type: 'run-start' }>['command']
  readonly profile: string
  readonly file: string
  readonly version: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  /** `incomplete`: the journal ends before the run did; its end is not recorded. */
  readonly outcome: Outcome | 'incomplete'
  readonly exit: number | null
  readonly error: HelperErrorBody | null
  readonly elapsedUs: number
  readonly cancelAsked: boolean
  readonly phases: readonly PhaseReport[]
  readonly memoryBytes: bigint | null
  readonly pageSize: number | null
  readonly devices: readonly DeviceReport[]
  readonly trackers: readonly TrackerReport[]
  readonly pins: readonly PinReport[]
  readonly rounds: readonly RoundReport[]
  /** What each tracker said at the end of every round and for the last pages. */
  readonly trackerReads: readonly TrackerRead[]
  /** What trackers that call every page dirty had sent again; null without one. */
  readonly everyPage: EveryPage | null
  readonly dirtyReads: readonly DirtyRead[]
  readonly precopy: PrecopySummary | null
  /** What was forecast of the blackout beside what it was; null where there is nothing to compare. */
  readonly forecasts: Forecasts | null
  /** Holds, requests, changed limits and hooks. */
  readonly interventions: Interventions
  readonly cutover: CutoverSummary | null
  readonly verification: Verification
  /** What each helper held at its peak without the workload's own memory; null when it was not asked. */
  readonly resident: { readonly source: bigint; readonly destination: bigint } | null
  /** What had failed on the way, the cause of the outcome aside. */
  readonly failedSteps: readonly FailedStep[]
  /** Begun and never answered: what was under way when the journal ended. */
  readonly unfinished: readonly { readonly side: Role; readonly text: string }[]
}
export interface PhaseReport {
  readonly phase: PhaseName
  readonly outcome: 'ok' | 'failed' | 'cancelled' | 'unfinished'
  readonly elapsedUs: number
  /** Memory sent in it. */
  readonly bytes: bigint
  readonly rounds: number
}
export interface DeviceReport {
  readonly device: string
  readonly source: string
  readonly destination: string
  readonly backend: BackendKind
  /** The trackers that see this device's writes. */
  readonly trackers: readonly TrackerKind[]
  /** What its state stream carried, or would carry by the plan when there was no cutover. */
  readonly stateBytes: bigint | null
  readonly moved: boolean
  readonly stateHash: string | null
  /** Last state each side reported. */
  readonly states: { readonly source: string | null; readonly destination: string | null }
}
export interface TrackerReport {
  readonly tracker: string
  readonly kind: TrackerKind
  readonly covers: readonly string[]
  /** It calls every page dirty at every read. */
  readonly everyPage: boolean
  readonly reason: string
  readonly refused: readonly { readonly kind: TrackerKind; readonly code: string; readonly reason: string }[]
}
export interface PinReport {
  readonly side: Role
  readonly container: string
  readonly bytes: bigint
  readonly pages: number
  readonly maps: number
  readonly elapsedUs: number
  readonly lockedBytes: bigint
}
export interface RoundReport {
  readonly round: number
  /** To send at its start, and by which tracker they were seen. */
  readonly pages: number
  readonly trackers: readonly TrackerRound[]
  readonly sentBytes: bigint
  readonly zeroPages: number
  readonly elapsedUs: number
  readonly bytesPerSecond: bigint
  /** Dirty again at its end. */
  readonly dirtyPages: number
  readonly dirtyBytes: bigint
}
/** One read of the trackers outside a transfer (`ferry dirty-log`). */
export interface DirtyRead {
  readonly round: number
  /** Since the read before, or since the trackers started. */
  readonly intervalUs: number
  readonly elapsedUs: number
  readonly trackers: readonly TrackerRound[]
  readonly unionPages: number
  readonly unionBytes: bigint
}
export interface PrecopySummary extends Pick<PrecopyReply, 'reason' | 'rounds' | 'estimatedBlackoutUs'> {
  readonly bytes: bigint
  readonly remainingBytes: bigint
  readonly bytesPerSecond: bigint
}
export interface CutoverSummary {
  readonly outcome: 'running' | 'rolled-back' | 'needs-person' | 'unknown'
  readonly blackout: BlackoutSplit
  readonly downtimeLimitUs: number | null
  readonly lastPages: number
  readonly lastBytes: bigint
}
export interface Verification {
  /** Both sides hashed every page after the stop, before COMMIT. */
  readonly full: { readonly pages: number; readonly mismatches: readonly string[] } | null
  /** Every write of the simulated devices was replayed on the destination; `lost` names the first of the lost pages. */
  readonly writes: {
    readonly pages: number
    readonly writes: bigint
    readonly lostPages: number
    readonly lost: readonly string[]
  } | null
}
export interface FailedStep {
  readonly phase: PhaseName
  readonly side: Role
  readonly text: string
  readonly error: HelperErrorBody
}
