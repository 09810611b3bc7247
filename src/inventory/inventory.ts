import type { Finding } from '../finding.js'
import type { BackendKind, DeviceFacts, HostFacts } from '../protocol/protocol.js'

/** What one host has, with what each device can and cannot do. */
export interface Inventory {
  readonly host: HostFacts
  readonly devices: readonly InventoryDevice[]
  readonly unseen: readonly string[]
}
export interface InventoryDevice extends DeviceFacts {
  /** True, false, or null when it could not be seen (not root, busy, not probed). */
  readonly migratable: boolean | null
  /** Why it cannot migrate, layer by layer from the bus up; empty when it can. */
  readonly reasons: readonly Reason[]
  /** What could open it: type1 and iommufd for a real device, sim for a simulated one. */
  readonly backends: readonly BackendFacts[]
}
export interface BackendFacts {
  readonly backend: BackendKind
  /** Null: it could not be seen. */
  readonly available: boolean | null
  readonly why: string
}
/** One cause of a refusal: code, what was found, what would lift it. */
export interface Reason extends Finding {
  readonly layer: 'bus' | 'iommu' | 'group' | 'driver' | 'migration' | 'tracker' | 'host' | 'profile' | 'link'
  readonly remedy: string
}
