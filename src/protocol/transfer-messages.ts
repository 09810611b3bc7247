/** listen to status: the run itself. Each but status carries run and epoch. */
import type { ClaimParams, TrackerRound } from './set-up-messages.js'
import type { Bytes, DeviceState, HelperErrorBody, Iova, Role } from './words.js'

/** What both ends of the data connections are told. */
interface DataParams {
  /** 0 lets the kernel choose, when listening. */
  readonly port: number
  readonly encrypt: boolean
  /** Fingerprint of the peer's certificate. */
  readonly peer: string
  /** 32 random bytes as hex, told to both helpers over their stdin: without it a connection is refused. */
  readonly secret: string
  /** Silence while something is due after which the link counts as lost. */
  readonly linkTimeoutMs: number
  /** A dead peer or network is noticed within this time, also while nothing is due (TCP keepalive and user timeout). */
  readonly keepaliveMs: number
  /** Connections of this run: exactly as many are taken, then the listener closes. */
  readonly streams: number
}
export interface ListenParams extends DataParams {
  /** IP address; empty when `interface` is given. */
  readonly address: string
  /** Listen on this interface's address, the first global one, IPv4 before IPv6. */
  readonly interface?: string
  /** The only address connections are taken from; null: any. */
  readonly from: string | null
}
export interface ListenReply {
  readonly address: string
  readonly port: number
}
export interface ConnectParams extends DataParams {
  readonly address: string
  /** Local address to connect from; null: the kernel's choice. */
  readonly bind: string | null
  /** Of the connections, how many carry pages at first; `tune` changes it. */
  readonly use: number
}
export interface ConnectReply {
  readonly roundTripUs: number
}
/** Destination: serves the connection until the run is committed, discarded or broken. Long. */
export interface ReceiveReply {
  /**
   * waiting: the link was lost after PREPARED was answered. Everything is loaded, devices are in STOP, and only the
   * source knows whether it committed: `rollback` here once it is known that it did not.
   */
  readonly outcome: 'running' | 'discarded' | 'waiting'
  readonly reason?: string
  readonly pages: number
  readonly bytes: Bytes
}
export interface PrecopyParams {
  readonly maxRounds: number
  readonly maxTimeMs: number
  readonly downtimeLimitMs: number
  /** Part of the blackout the plan expects besides bytes (transitions), in microseconds. */
  readonly fixedBlackoutUs: number
  readonly verify: boolean
  /** Cap in bytes per second over all streams; absent: none. `tune` changes it. */
  readonly bandwidth?: Bytes
  /**
   * Go on with rounds until `proceed`, whatever the bounds: one at least every `intervalMs`. The bounds do not end it;
   * a cancel does.
   */
  readonly hold?: { readonly intervalMs: number }
  /** What the hooks at the pauses of the cutover may take together; part of the forecast. */
  readonly hooksUs?: number
}
/**
 * The blackout as expected from what was measured so far, in microseconds. `low` and `high` come from the best and worst
 * rates and dirty page counts of the last rounds.
 */
export interface BlackoutForecast {
  readonly lowUs: number
  readonly expectedUs: number
  readonly highUs: number
  /** What `expectedUs` is the sum of. */
  readonly parts: {
    /** Transitions on both sides, as the plan knows them. */
    readonly fixedUs: number
    readonly pagesUs: number
    readonly stateUs: number
    /** The destination reading and loading what arrives last. */
    readonly loadUs: number
    readonly verifyUs: number
    readonly roundTripUs: number
    /** Hooks inside the blackout, as long as they may take. */
    readonly hooksUs: number
  }
}
/** Answered at once, while `precopy` is under way; what is absent stays as it is. */
export interface TuneParams {
  /** Bytes per second; null: no cap. */
  readonly bandwidth?: Bytes | null
  /** 1 to the number connected. */
  readonly streams?: number
  readonly downtimeLimitMs?: number
}
export interface PrecopyReply {
  /** released: it was held, and `proceed` came. */
  readonly reason: 'converged' | 'rounds' | 'time' | 'released'
  readonly rounds: number
  readonly bytes: Bytes
  readonly remainingBytes: Bytes
  readonly bytesPerSecond: Bytes
  readonly estimatedBlackoutUs: number
  readonly forecast: BlackoutForecast
}
/** Points inside the blackout at which the owner may have something done; all before COMMIT. */
export type CutoverPause = 'post-quiesce' | 'post-stop' | 'pre-resume'
/** Ends a pause; with `abort` the cutover is undone for this cause. Answered at once. */
export interface ContinueParams {
  readonly at: CutoverPause
  readonly abort?: { readonly code: string; readonly message: string }
}
export interface CutoverParams {
  readonly downtimeLimitMs: number
  readonly fixedBlackoutUs: number
  readonly verify: boolean
  /** Each emits `paused` and waits for `continue`, at most as long as the downtime limit leaves. */
  readonly pauses?: readonly CutoverPause[]
  /** Longest state stream of one device; absent: by what the device announced. */
  readonly maxState?: Bytes
  /** What the hooks at the pauses may take together; part of the forecast. */
  readonly hooksUs?: number
}
export interface BlackoutSplit {
  readonly quiesceUs: number
  readonly lastPagesUs: number
  readonly stateUs: number
  readonly loadUs: number
  readonly verifyUs: number
  readonly resumeUs: number
  /** Waiting for hooks. Absent in older journals. */
  readonly hooksUs?: number
  readonly totalUs: number
}
/** A read of the trackers for the last pages. */
export interface CutoverRead {
  /** Every device had stopped: after this read nothing is written any more. */
  readonly stopped: boolean
  readonly trackers: readonly TrackerRound[]
  readonly unionPages: number
}
export interface CutoverReply {
  /**
   * running: committed, the destination runs. rolled-back: the source runs and was checked.
   * needs-person: a device could not be brought back. unknown: link lost after COMMIT was written.
   */
  readonly outcome: 'running' | 'rolled-back' | 'needs-person' | 'unknown'
  readonly cause?: HelperErrorBody
  readonly blackout: BlackoutSplit
  /** What was expected when it began. Absent when it did not begin, and in older journals. */
  readonly forecast?: BlackoutForecast
  readonly lastPages: number
  readonly lastBytes: Bytes
  /** In order; the last pages are what these and the last round's read named. Absent in older journals. */
  readonly reads?: readonly CutoverRead[]
  readonly devices: readonly {
    readonly device: string
    readonly state: DeviceState
    readonly stateBytes: Bytes
    readonly stateHash: string
  }[]
  readonly verified: null | { readonly pages: number; readonly mismatches: readonly Iova[] }
}
export interface RollbackParams {
  /** A source that has written COMMIT refuses unless the destination is known to have discarded the run. */
  readonly peerDiscarded?: boolean
}
/** Both roles: bring this side to rest without the peer. Source: devices RUNNING and checked. Destination: run discarded. */
export interface RollbackReply {
  readonly devices: readonly { readonly device: string; readonly state: DeviceState }[]
  readonly needsPerson: readonly HelperErrorBody[]
}
/** Replays the simulated devices' writes and compares every page. Simulated devices only. */
export interface CheckReply {
  readonly pages: number
  readonly writes: Bytes
  /** All of them; `lost` names the first. */
  readonly lostPages: number
  readonly lost: readonly {
    readonly iova: Iova
    readonly device: string
    readonly expected: Bytes
    readonly found: Bytes
  }[]
}
export interface StatusReply {
  readonly role: Role | null
  readonly run: string | null
  readonly epoch: number | null
  readonly phase:
    | 'idle'
    | 'claimed'
    | 'set-up'
    | 'tracking'
    | 'pre-copy'
    | 'cutover'
    | 'committed'
    | 'running'
    | 'discarded'
    | 'rolled-back'
  readonly devices: readonly { readonly device: string; readonly state: DeviceState }[]
  /** Peak resident set without the workload's own memory. */
  readonly residentBytes: Bytes
  /** The workload this helper holds, when it is a holder. */
  readonly workload: string | null
  /** The run by which it came to this holder; helpers of protocol 2 never say it. */
  readonly cameBy?: string
}
/** What a helper wrote down of a run, read by another helper of that host after it died. */
export interface RecordParams {
  readonly recordDir: string
  readonly run: string
  readonly role: Role
  /** Write that the run was discarded, so that it cannot be finished late; refused when it says committed. */
  readonly discard?: boolean
  /** Remove the record: the run is over on both sides. */
  readonly forget?: boolean
  /** Where the run's helper locked its devices: a living process may still have them. */
  readonly locks?: Pick<ClaimParams, 'lockDir' | 'devices'>
}
export interface RecordReply {
  /**
   * settled: a destination committed, ran, and its devices were handed on or closed as the run said; a source was
   * rolled back and its devices ran when it closed them.
   */
  readonly record: 'none' | 'prepared' | 'committed' | 'discarded' | 'settled'
  /** Devices that a living process keeps locked; `pid` null: the lock does not tell it. Absent: none, or not asked. */
  readonly held?: readonly { readonly device: string; readonly pid: number | null }[]
}
