/** claim to untrack: what the pin and dirty-log phases ask for. Each carries run and epoch. */
import type {
  BackendKind,
  Bytes,
  DeviceState,
  FreezeWith,
  Iova,
  MigrationFlag,
  ProcessMethod,
  Role,
  TrackerKind,
} from './words.js'
import type { SimSpec } from './facts.js'

export interface ClaimParams {
  readonly role: Role
  /** Lock files <lockDir>/<device>.lock are flocked until the helper ends. */
  readonly lockDir: string
  readonly devices: readonly string[]
  /** Where this helper writes its own commit and discard records, synced. */
  readonly recordDir: string
  /**
   * Unix socket (0600, in a folder of 0700) at which this helper can be reached with `ferry-helper --attach` once its
   * owner is gone. A helper that may not undo any more (COMMIT was given, or may have been) stays there.
   */
  readonly socket: string
  /** How long a connected run waits for another owner when it loses its own before the stop; absent: not at all. */
  readonly graceMs?: number
  /** Of a destination: what becomes of its devices once they run. It gives up what that does not need. */
  readonly then?: 'hold' | 'close' | 'exec'
}
export interface ClaimReply {
  /** This helper is a holder: memory, containers, devices and maps are there, and the requests for them only compare. */
  readonly held: boolean
}
/**
 * The run is over, and what it opened stays: this helper becomes the workload's holder. It answers at `socket` and no
 * longer ends with its owner.
 */
export interface StayParams {
  readonly workload: string
  readonly socket: string
  /** Duplicates of the descriptors go to this user, at this socket; null: to no user. */
  readonly handOut: { readonly socket: string; readonly uid: number } | null
}
export interface ReleaseParams {
  /** A holder keeps what it held before the run, devices RUNNING; a helper that holds nothing ignores it. */
  readonly keep?: boolean
  /** The run is not over as it should be, and is not recorded so: what runs here is closed all the same. */
  readonly giveUp?: boolean
}
/** Starts a command with the descriptors by systemd's LISTEN_FDS convention, then gives its own copies back. */
export interface ExecParams {
  readonly command: readonly string[]
}
export interface ExecReply {
  readonly pid: number
  /** LISTEN_FDNAMES, in the order of the descriptors from 3 on. */
  readonly names: readonly string[]
}
export interface RegionSpec {
  readonly region: string
  readonly iova: Iova
  readonly bytes: Bytes
  readonly backing:
    | { readonly kind: 'memfd'; readonly hugePageBytes?: Bytes }
    | { readonly kind: 'file'; readonly path: string }
  /** Touch all of it ahead (the destination, so that first touch stays out of the transfer). */
  readonly populate: boolean
  /** Initial content of simulated workloads: random by seed, with this share of zero pages. Source only. */
  readonly fill?: { readonly seed: number; readonly zeroPercent: number }
  /** A file that another user may truncate or replace is taken all the same. */
  readonly othersMayTruncate?: true
}
export interface MemoryParams {
  readonly pageSize: number
  readonly regions: readonly RegionSpec[]
}
export interface MemoryReply {
  readonly bytes: Bytes
  readonly elapsedUs: number
}
export interface ContainerParams {
  readonly container: string
  readonly backend: BackendKind
  /** iommufd only: ask for a dirty-capable page table (HWPT_ALLOC with DIRTY_TRACKING). */
  readonly dirtyTracking: boolean
  /**
   * type1 only: tracker `pinned` is wanted although physical groups are in the container, which makes it report every
   * page at every read.
   */
  readonly mixed?: boolean
  /** iommufd with dirtyTracking only: keep entries of 2 MiB and more, of which one bit stands for all pages. */
  readonly hugePages?: boolean
}
export interface DeviceParams {
  readonly device: string
  readonly container: string
  readonly target:
    { readonly kind: 'kernel'; readonly sysfsPath: string } | { readonly kind: 'sim'; readonly spec: SimSpec }
  /** To be mapped and tracked only: a device without migration will do. */
  readonly measure?: boolean
}
export interface DeviceReply {
  readonly state: DeviceState
  readonly flags: readonly MigrationFlag[]
  readonly stateBytes: Bytes | null
}
export interface MapParams {
  readonly container: string
}
export interface MapReply {
  readonly bytes: Bytes
  readonly pages: number
  readonly maps: number
  readonly elapsedUs: number
  /** Bytes the kernel charged as locked (VmLck/VmPin growth). */
  readonly lockedBytes: Bytes
}
export interface UnmapParams {
  readonly container: string
}
export interface TrackParams {
  readonly trackers: readonly {
    readonly tracker: string
    readonly kind: TrackerKind
    /** For kind device: whose log. */
    readonly device?: string
    /** For pinned and iommu: which container. For all: whose mappings count. */
    readonly container?: string
    /** For kind process alone. */
    readonly process?: { readonly method: ProcessMethod; readonly freeze: FreezeWith }
  }[]
}
export interface TrackReply {
  readonly trackers: readonly { readonly tracker: string; readonly pageSize: number }[]
  readonly bitmapBytes: Bytes
}
export interface DirtyReply {
  readonly elapsedUs: number
  readonly trackers: readonly TrackerRound[]
  readonly unionPages: number
  readonly unionBytes: Bytes
}
export interface TrackerRound {
  readonly tracker: string
  readonly pages: number
  /** Of these, the pages no other tracker named in the same read. Absent in older journals. */
  readonly onlyPages?: number
  readonly elapsedUs: number
  /** How long processes were stopped for it; absent: none was. */
  readonly stoppedUs?: number
}
