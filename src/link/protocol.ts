/**
 * The control protocol between `ferry` and `ferry-helper`: NDJSON over the helper's stdin and stdout.
 *
 *   request  {"id":7,"op":"map","run":"…","epoch":1,"params":{…}}
 *   reply    {"id":7,"ok":{…}}  or  {"id":7,"error":{code,message,…}}   (id null when the line was unreadable)
 *   event    {"event":"round",…}
 *
 * Its twin is helper/src/control/message.rs; test/link/protocol-samples.ndjson is parsed by both sides' tests.
 * Byte counts travel as decimal strings and IOVAs as "0x…" strings, because JSON numbers round above 2^53.
 * Durations are integers in microseconds, named …Us.
 */
export const PROTOCOL_VERSION = 1
/** Longest control line either side accepts, in bytes. */
export const MAX_LINE_BYTES = 1024 * 1024

export type Bytes = string
export type Iova = string

/** Device states in the kernel's spelling (enum vfio_device_mig_state). */
export type DeviceState =
  'ERROR' | 'STOP' | 'RUNNING' | 'STOP_COPY' | 'RESUMING' | 'RUNNING_P2P' | 'PRE_COPY' | 'PRE_COPY_P2P'
export type MigrationFlag = 'stop-copy' | 'p2p' | 'pre-copy'
export type BackendKind = 'type1' | 'iommufd' | 'sim'
export type TrackerKind = 'pinned' | 'device' | 'iommu' | 'all'
export type Role = 'source' | 'destination'
export type DeviceKind = 'mdev' | 'function'
export type IommuKind = 'emulated' | 'physical' | 'noiommu'

export interface HelperErrorBody {
  /** Stable code, e.g. "device/busy"; listed in src/errors.ts. */
  readonly code: string
  readonly message: string
  readonly device?: string
  /** The operation that failed: an ioctl's name, "open", "read", … */
  readonly operation?: string
  readonly errno?: number
  readonly errnoName?: string
  /** What the errno means for this operation. */
  readonly meaning?: string
  /** The device's state read back after the failure. */
  readonly state?: DeviceState
  readonly suggestion?: string
}

// ---------------------------------------------------------------- hello

export interface HelloParams {
  readonly protocol: number
}
export interface HelloReply {
  readonly protocol: number
  readonly version: string
  readonly pid: number
  readonly uid: number
  readonly pageSize: number
  /** RLIMIT_MEMLOCK, or null when unlimited or the process has CAP_IPC_LOCK. */
  readonly memlockBytes: Bytes | null
  readonly memoryAvailableBytes: Bytes
  /** SHA-256 of this process's one-run certificate; the peer pins it. Lower-case hex. */
  readonly fingerprint: string
}

// ---------------------------------------------------------------- inventory

/** What a simulated device is and does. Everything the sim needs stands here; it is the profile's `sim:` block. */
export interface SimSpec {
  readonly model: DeviceKind
  readonly flags: readonly MigrationFlag[]
  readonly trackers: readonly TrackerKind[]
  readonly stateBytes: Bytes
  /** Part of stateBytes offered as initial_bytes in PRE_COPY. */
  readonly precopyBytes: Bytes
  /** Bandwidth of the state stream in bytes per second; absent: as fast as it goes. */
  readonly stateBytesPerSecond?: Bytes
  readonly seed: number
  /** Memory the device writes; for a simulated mdev also the memory it pins. */
  readonly window: { readonly iova: Iova; readonly bytes: Bytes }
  readonly writeBytesPerSecond: Bytes
  readonly pattern: 'uniform' | 'hot' | 'sequential'
  /** Delay of each transition in microseconds, by target state. */
  readonly latencyUs?: Readonly<Partial<Record<DeviceState, number>>>
  readonly faults?: readonly SimFault[]
}
export type SimFault =
  /** SET to `state` fails with `errno` the nth time (1 is the first); the state stays, or becomes ERROR. */
  | {
      readonly kind: 'transition'
      readonly state: DeviceState
      readonly nth?: number
      readonly errno?: string
      readonly enterError?: boolean
    }
  | { readonly kind: 'short-stream'; readonly bytes: Bytes }
  | { readonly kind: 'endless-stream' }
  | { readonly kind: 'slow-stop'; readonly delayUs: number }
  /** The nth read of the device's tracker fails with EIO. */
  | { readonly kind: 'tracker-error'; readonly nth: number }
  /** One dirty bit is dropped at the nth read: the negative control of full verification. */
  | { readonly kind: 'drop-dirty-bit'; readonly nth: number }
  /** What a read returns when PRE_COPY is drained: ENOMSG (the specification) or 0 (several drivers). */
  | { readonly kind: 'precopy-ends-with-zero' }
  | { readonly kind: 'reset-fails' }

export interface InventoryParams {
  /** Also PCI functions not bound to a VFIO driver. */
  readonly all: boolean
  /** Open devices to ask for flags and state size. Never done to a device in use. */
  readonly probe: boolean
  /** Simulated devices the profile declares on this side, by name. */
  readonly sim: readonly { readonly name: string; readonly spec: SimSpec }[]
}
export interface InventoryReply {
  readonly host: HostFacts
  readonly devices: readonly DeviceFacts[]
  /** What could not be seen and why, e.g. "debugfs is not mounted". */
  readonly unseen: readonly string[]
}
export interface HostFacts {
  readonly hostname: string
  readonly kernel: string
  readonly uid: number
  readonly pageSize: number
  readonly memlockBytes: Bytes | null
  readonly memoryAvailableBytes: Bytes
  /** Each null when it could not be decided without root. */
  readonly type1: boolean | null
  readonly iommufd: boolean | null
  readonly iommuPresent: boolean
  readonly noiommuEnabled: boolean
}
export interface DeviceFacts {
  /** BDF, mdev UUID, or the simulated device's name. */
  readonly id: string
  readonly kind: DeviceKind
  readonly simulated: boolean
  readonly sysfsPath: string | null
  /** BDF of the physical function when this is a virtual one. */
  readonly physicalFunction: string | null
  readonly virtualFunctions: number
  readonly vendor: string | null
  readonly device: string | null
  readonly class: string | null
  readonly mdevType: string | null
  readonly mdevParent: string | null
  readonly driver: string | null
  readonly group: GroupFacts | null
  readonly cdev: { readonly name: string; readonly node: string | null } | null
  readonly migration: MigrationFacts | null
  readonly trackers: readonly TrackerFacts[]
  readonly probe: ProbeFacts
}
export interface GroupFacts {
  readonly id: string
  readonly node: string | null
  readonly type: string | null
  readonly iommu: IommuKind
  readonly members: readonly {
    readonly id: string
    readonly driver: string | null
    readonly blocksGroup: boolean
  }[]
  readonly viable: boolean | null
}
export interface MigrationFacts {
  readonly supported: boolean
  readonly flags: readonly MigrationFlag[]
  readonly state: DeviceState | null
  readonly stateBytes: Bytes | null
}
export interface TrackerFacts {
  readonly kind: TrackerKind
  readonly available: boolean | null
  /** Why it is not available, or what qualifies it. */
  readonly reason?: string
}
export interface ProbeFacts {
  readonly done: boolean
  /** Why not: "busy", "no-permission", "not-bound", "not-asked", "failed". */
  readonly skipped?: string
  readonly via?: 'group' | 'cdev' | 'sim'
  /** Process that has the device open, when one was seen; it was asked through that process's descriptor. */
  readonly heldBy?: number
  readonly error?: HelperErrorBody
}

// ---------------------------------------------------------------- session set-up (each carries run and epoch)

export interface ClaimParams {
  readonly role: Role
  /** Lock files <lockDir>/<device>.lock are flocked until the helper ends. */
  readonly lockDir: string
  readonly devices: readonly string[]
  /** Where this helper writes its own commit and discard records, synced. */
  readonly recordDir: string
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
}
export interface DeviceParams {
  readonly device: string
  readonly container: string
  readonly target:
    { readonly kind: 'kernel'; readonly sysfsPath: string } | { readonly kind: 'sim'; readonly spec: SimSpec }
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
  readonly elapsedUs: number
}

// ---------------------------------------------------------------- transfer

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

type Empty = Readonly<Record<string, never>>

/** Every request: its parameters and its reply. */
export interface Requests {
  readonly hello: { params: HelloParams; reply: HelloReply }
  readonly inventory: { params: InventoryParams; reply: InventoryReply }
  readonly claim: { params: ClaimParams; reply: Empty }
  readonly memory: { params: MemoryParams; reply: MemoryReply }
  readonly container: { params: ContainerParams; reply: Empty }
  readonly device: { params: DeviceParams; reply: DeviceReply }
  readonly map: { params: MapParams; reply: MapReply }
  readonly unmap: { params: UnmapParams; reply: Empty }
  readonly track: { params: TrackParams; reply: TrackReply }
  readonly dirty: { params: Empty; reply: DirtyReply }
  readonly untrack: { params: Empty; reply: Empty }
  readonly listen: { params: ListenParams; reply: ListenReply }
  readonly connect: { params: ConnectParams; reply: ConnectReply }
  readonly receive: { params: Empty; reply: ReceiveReply }
  readonly precopy: { params: PrecopyParams; reply: PrecopyReply }
  readonly cutover: { params: CutoverParams; reply: CutoverReply }
  readonly rollback: { params: RollbackParams; reply: RollbackReply }
  readonly check: { params: Empty; reply: CheckReply }
  readonly release: { params: Empty; reply: Empty }
  readonly status: { params: Empty; reply: StatusReply }
  readonly cancel: { params: Empty; reply: Empty }
}
export type Op = keyof Requests

// ---------------------------------------------------------------- events

export type HelperEvent =
  /** A device moved, at `atUs` on this helper's monotonic clock. */
  | {
      readonly event: 'device-state'
      readonly device: string
      readonly from: DeviceState
      readonly to: DeviceState
      readonly elapsedUs: number
      readonly atUs: number
    }
  | {
      readonly event: 'round-start'
      readonly round: number
      readonly pages: number
      readonly bytes: Bytes
      readonly trackers: readonly TrackerRound[]
    }
  | {
      readonly event: 'progress'
      readonly round: number
      readonly sentBytes: Bytes
      readonly roundBytes: Bytes
      readonly bytesPerSecond: Bytes
    }
  | {
      readonly event: 'round-end'
      readonly round: number
      readonly sentBytes: Bytes
      readonly zeroPages: number
      readonly elapsedUs: number
      readonly dirtyPages: number
      readonly dirtyBytes: Bytes
      readonly bytesPerSecond: Bytes
      readonly estimatedBlackoutUs: number
    }
  | {
      readonly event: 'device-precopy'
      readonly device: string
      readonly bytes: Bytes
      readonly initialBytes: Bytes
      readonly dirtyBytes: Bytes
    }
  /** A part of the cutover began, or (`done`) ended. */
  | {
      readonly event: 'cutover'
      readonly step: 'quiesce' | 'last-pages' | 'state' | 'load' | 'verify' | 'commit' | 'resume' | 'rollback'
      readonly done: boolean
      readonly elapsedUs: number
    }
  | {
      readonly event: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly message: string
      readonly device?: string
    }
