/** The words both programs use: numbers on the line, the kernel's names, and what an error looks like. */

export type Bytes = string
export type Iova = string

/** Device states in the kernel's spelling (enum vfio_device_mig_state). */
export type DeviceState =
  'ERROR' | 'STOP' | 'RUNNING' | 'STOP_COPY' | 'RESUMING' | 'RUNNING_P2P' | 'PRE_COPY' | 'PRE_COPY_P2P'
export type MigrationFlag = 'stop-copy' | 'p2p' | 'pre-copy'
export type BackendKind = 'type1' | 'iommufd' | 'sim'
/** `process`: what other processes write by CPU; the others say what devices write. */
export type TrackerKind = 'pinned' | 'device' | 'iommu' | 'process' | 'all'
/** Of them those that a device can have. */
export type DeviceTracker = Exclude<TrackerKind, 'process'>
/** How the writes of a process are found; auto: write-protect where the process allows it, else soft-dirty. */
export type ProcessMethod = 'auto' | 'write-protect' | 'soft-dirty'
/** How a process is stopped; auto: by its cgroup where it has one of its own, else by signal. */
export type FreezeWith = 'auto' | 'cgroup' | 'signal'
export type Role = 'source' | 'destination'
export type DeviceKind = 'mdev' | 'function'
export type IommuKind = 'emulated' | 'physical' | 'noiommu'

export interface HelperErrorBody {
  /** Stable code, area/what, e.g. "device/busy": what a script branches on where the exit code is not enough. */
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
