/** hello and inventory: what a helper is and what its host has. */
import type {
  Bytes,
  DeviceKind,
  DeviceState,
  HelperErrorBody,
  IommuKind,
  Iova,
  MigrationFlag,
  TrackerKind,
} from './words.js'

export interface HelloParams {
  readonly protocol: number
  /**
   * With it the owner promises a line (`ping`, if nothing else) at least every third of this time, in milliseconds. A
   * helper that hears nothing for as long takes its owner for gone. Absent: only the end of the connection says so.
   */
  readonly keepaliveMs?: number
}
export interface HelloReply {
  readonly protocol: number
  readonly version: string
  /** SHA-256 of the helper's own executable, lower-case hex: which build this is. */
  readonly build: string
  readonly pid: number
  readonly uid: number
  /** `uname -r`. */
  readonly kernel: string
  /** Its host's wall clock, microseconds since the epoch. */
  readonly clockUs: Bytes
  /** Where it keeps records, locks and holders unless told otherwise: absolute, private to its user. */
  readonly stateDir: string
  readonly pageSize: number
  /** RLIMIT_MEMLOCK, or null when unlimited or the process has CAP_IPC_LOCK. */
  readonly memlockBytes: Bytes | null
  readonly memoryAvailableBytes: Bytes
  /** SHA-256 of the certificate made for this owner's connection; the peer pins it. Lower-case hex. */
  readonly fingerprint: string
  /** Absent: the helper is older than this field. */
  readonly confinement?: Confinement
}
/** What keeps the helper from more than its work. */
export interface Confinement {
  /** Its threads have a filter of system calls. */
  readonly seccomp: boolean
  /** The kernel's version of Landlock; 0: none. */
  readonly landlock: number
  /** "CAP_CHOWN", …: those that it kept at its start. */
  readonly capabilities: readonly string[]
}
/** Which of this host's own addresses packets to `address` leave from. Belongs to no run. */
export interface RouteParams {
  readonly address: string
}
export interface RouteReply {
  readonly from: string
}

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
  | { readonly kind: 'reset-does-nothing' }
  | { readonly kind: 'reset-refused-when-stopped' }
  /** The transition that opens a state stream is made and answers EMFILE. */
  | { readonly kind: 'stream-lost' }
  | { readonly kind: 'blocked-stream' }
  | { readonly kind: 'short-reads'; readonly bytes: Bytes }
  | { readonly kind: 'stale-session' }
  /** A write of state is refused in the middle, and the load succeeds all the same. */
  | { readonly kind: 'refused-write' }
  | { readonly kind: 'writes-after-stop' }
  /** Reports in larger pages than the log's forget all but the first 256. */
  | { readonly kind: 'log-forgets' }
  /** The nth read of the device's tracker does not return until the device is closed. */
  | { readonly kind: 'tracker-hangs'; readonly nth: number }
  | { readonly kind: 'refusals-einval' }

export interface InventoryParams {
  /** Also PCI functions not bound to a VFIO driver. */
  readonly all: boolean
  /** Open devices to ask for flags and state size. Never done to a device in use. */
  readonly probe: boolean
  /** Ids (BDF, UUID; without case) of the devices to open; absent: every device of the host. */
  readonly only?: readonly string[]
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
