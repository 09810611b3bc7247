import type {
  BackendKind,
  DeviceKind,
  DeviceState,
  DeviceTracker,
  FreezeWith,
  MigrationFlag,
  ProcessMethod,
  SimFault,
} from '../protocol/protocol.js'
import type { HoldPoint, HookPoint } from '../points.js'

export type { HoldPoint }

/** A profile after defaults, interpolation and checks: what the rest of ferry works from. */
export interface Profile {
  readonly version: 1
  readonly name: string
  /** Path it was read from, as given. */
  readonly file: string
  readonly source: HostSpec & {
    /** open: ferry opens the devices; holder: a `ferry hold` of this workload has them. */
    readonly from: 'open' | 'holder'
    /** Local IP address the data connections leave from; null: the kernel's choice. */
    readonly address: string | null
  }
  readonly destination: HostSpec & {
    readonly listen: { readonly address: string; readonly port: number }
    /** Listen on the address of this interface instead; `listen.address` is empty then. */
    readonly interface: string | null
    readonly then: Then
  }
  readonly memory: readonly MemoryRegion[]
  readonly devices: readonly ProfileDevice[]
  readonly trackers: {
    readonly prefer: 'device' | 'iommu'
    readonly forbidAll: boolean
    /** Emulated and physical groups in one type1 container; allowed only to measure what it costs. */
    readonly mixedContainers: 'refuse' | 'allow'
    readonly iommuHugePages: 'split' | 'keep'
    /** Also track what other processes write by CPU; null: no. */
    readonly process: { readonly method: ProcessMethod; readonly freeze: FreezeWith } | null
  }
  readonly migration: {
    readonly downtimeLimitMs: number
    readonly precopy: { readonly maxRounds: number; readonly maxTimeMs: number }
    /** When the bounds are reached before what remains fits the limit. The limit itself is never raised. */
    readonly onNotConverged: 'cancel' | 'cutover'
    readonly verify: 'full' | 'none'
    /** Bytes per second. */
    readonly bandwidth: bigint | null
    /** Of one device, in the blackout; null: by what it announced. */
    readonly maxStateBytes: bigint | null
    readonly linkTimeoutMs: number
    /** How long helpers that lost ferry before the stop wait for `ferry recover`; null: not at all. */
    readonly graceMs: number | null
    readonly hold: HoldPoint | null
    /** How long a run may be held, and what happens then; null: for ever. */
    readonly holdTimeoutMs: number | null
    readonly holdEnd: 'cancel' | 'cutover'
  }
  readonly transport: Transport
  readonly hooks: readonly Hook[]
  /** Who may ask a holder of this workload for its descriptors, and where; null: no user. */
  readonly handOut: { readonly socket: string; readonly uid: number } | null
  /** When the source closes its devices after a commit: at once, or with `ferry release`. */
  readonly releaseSource: 'on-commit' | 'by-hand'
}
/** What becomes of the devices on the destination once they run there. */
export type Then =
  | { readonly kind: 'hold' }
  | { readonly kind: 'close' }
  | { readonly kind: 'exec'; readonly command: readonly string[] }
export interface Transport {
  /** TLS 1.3 between the helpers. False only with `insecure` or `loopback`. */
  readonly encrypt: boolean
  /** Why the data may travel in the clear; null: it may not. */
  readonly insecure: string | null
  /** Both helpers on this host, memory in the clear over loopback. */
  readonly loopback: boolean
  /** Connections that carry pages at first. */
  readonly streams: number
  /** Connections opened: what `ferry set RUN streams` can go up to. */
  readonly maxStreams: number
  /** A dead host or network is noticed within this time, on control and data. */
  readonly keepaliveMs: number
}
/** A command at a point of the run. */
export interface Hook {
  readonly name: string
  readonly at: HookPoint
  /** ferry: where ferry itself runs. */
  readonly on: 'source' | 'destination' | 'ferry'
  readonly command: readonly string[]
  readonly timeoutMs: number
  readonly onFailure: 'abort' | 'warn'
  /** Points inside the blackout need it said. */
  readonly inBlackout: boolean
}
export interface HostSpec {
  /** "local", or what ssh takes: [user@]host or ssh://[user@]host[:port]. */
  readonly host: string
  /** Path of ferry-helper on that host; null: the look-up order of link/, copied to a remote host. */
  readonly helper: string | null
  /** How the helper becomes root there. */
  readonly become: 'sudo' | null
  /** Folder of records, locks and holders there; null: the helper's own choice, on this host --state-dir. */
  readonly stateDir: string | null
}
export interface MemoryRegion {
  readonly name: string
  readonly iova: bigint
  readonly bytes: bigint
  readonly source: Backing
  readonly destination: Backing
  /** Its file is taken although another user may truncate or replace it. */
  readonly othersMayTruncate: boolean
  readonly fill: { readonly seed: number; readonly zeroPercent: number } | null
}
export type Backing =
  | { readonly kind: 'memfd'; readonly hugePageBytes: bigint | null }
  | { readonly kind: 'file'; readonly path: string }
export interface ProfileDevice {
  readonly name: string
  readonly source: DeviceRef
  readonly destination: DeviceRef
  readonly backend: BackendKind | 'auto'
  readonly tracker: DeviceTracker | 'auto'
  /** Named container the operator asks for; devices with the same name share one. null: the planner decides. */
  readonly container: string | null
}
export type DeviceRef =
  | { readonly kind: 'mdev'; readonly uuid: string }
  | { readonly kind: 'function'; readonly bdf: string }
  | { readonly kind: 'sim'; readonly sim: Sim }
export interface Sim {
  readonly model: DeviceKind
  readonly flags: readonly MigrationFlag[]
  readonly trackers: readonly DeviceTracker[]
  readonly stateBytes: bigint
  readonly precopyBytes: bigint
  readonly stateBytesPerSecond: bigint | null
  readonly seed: number
  readonly window: { readonly iova: bigint; readonly bytes: bigint }
  readonly writeBytesPerSecond: bigint
  readonly pattern: 'uniform' | 'hot' | 'sequential'
  readonly latencyUs: Readonly<Partial<Record<DeviceState, number>>>
  readonly faults: readonly SimFault[]
}
