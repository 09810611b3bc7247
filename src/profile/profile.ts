import type {
  BackendKind,
  DeviceKind,
  DeviceState,
  MigrationFlag,
  SimFault,
  TrackerKind,
} from '../link/protocol.js'

/** A profile after defaults, interpolation and checks: what the rest of ferry works from. */
export interface Profile {
  readonly version: 1
  readonly name: string
  /** Path it was read from, as given. */
  readonly file: string
  readonly source: HostSpec
  readonly destination: HostSpec & { readonly listen: { readonly address: string; readonly port: number } }
  readonly memory: readonly MemoryRegion[]
  readonly devices: readonly ProfileDevice[]
  readonly trackers: {
    readonly prefer: 'device' | 'iommu'
    readonly forbidAll: boolean
    /** Emulated and physical groups in one type1 container; allowed only to measure what it costs. */
    readonly mixedContainers: 'refuse' | 'allow'
    readonly iommuHugePages: 'split' | 'keep'
  }
  readonly migration: {
    readonly downtimeLimitMs: number
    readonly precopy: { readonly maxRounds: number; readonly maxTimeMs: number }
    /** When the bounds are reached before what remains fits the limit. The limit itself is never raised. */
    readonly onNotConverged: 'give-up' | 'go-ahead'
    readonly verify: 'full' | 'none'
    /** Bytes per second. */
    readonly bandwidth: bigint | null
    readonly linkTimeoutMs: number
  }
  readonly transport: { readonly encrypt: boolean; readonly streams: number }
}
export interface HostSpec {
  /** "local", or what ssh takes: [user@]host. */
  readonly host: string
  /** Path of ferry-helper on that host; null: the look-up order of link/. */
  readonly helper: string | null
}
export interface MemoryRegion {
  readonly name: string
  readonly iova: bigint
  readonly bytes: bigint
  readonly source: Backing
  readonly destination: Backing
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
  readonly tracker: TrackerKind | 'auto'
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
  readonly trackers: readonly TrackerKind[]
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
