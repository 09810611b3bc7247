/** listen to status: the run itself. Each but status carries run and epoch. */
import type { TrackerRound } from './set-up-messages.js'
import type { Bytes, DeviceState, HelperErrorBody, Iova, Role } from './words.js'

export interface ListenParams {
  readonly address: string
  /** 0 lets the kernel choose. */
  readonly port: number
  readonly encrypt: boolean
  /** Fingerprint of the source's certificate. */
  readonly peer: string
  /** 32 random bytes as hex, told to both helpers over their stdin: without it a connection is refused. */
  readonly secret: string
  readonly linkTimeoutMs: number
}
export interface ListenReply {
  readonly address: string
  readonly port: number
}
export interface ConnectParams extends ListenParams {
  readonly streams: number
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
  /** Cap in bytes per second; absent: none. */
  readonly bandwidth?: Bytes
}
export interface PrecopyReply {
  readonly reason: 'converged' | 'rounds' | 'time'
  readonly rounds: number
  readonly bytes: Bytes
  readonly remainingBytes: Bytes
  readonly bytesPerSecond: Bytes
  readonly estimatedBlackoutUs: number
}
export interface CutoverParams {
  readonly downtimeLimitMs: number
  readonly fixedBlackoutUs: number
  readonly verify: boolean
}
export interface BlackoutSplit {
  readonly quiesceUs: number
  readonly lastPagesUs: number
  readonly stateUs: number
  readonly loadUs: number
  readonly verifyUs: number
  readonly resumeUs: number
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
}
