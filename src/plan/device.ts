import { isRefusal } from '../inventory/reasons.js'
import type { Inventory, InventoryDevice, Reason } from '../inventory/inventory.js'
import type { DeviceKind, MigrationFlag, Role } from '../protocol/protocol.js'
import type { DeviceRef, Profile, ProfileDevice, Sim } from '../profile/profile.js'

/** One device of the workload on one side, as the planner sees it. */
export interface PlannedSide {
  readonly role: Role
  /** BDF, UUID, or a simulated device's name. */
  readonly id: string
  readonly kind: DeviceKind
  readonly sim: Sim | null
  /** Null: the inventory does not have it. */
  readonly device: InventoryDevice | null
}
export interface PlannedDevice {
  readonly name: string
  readonly profile: ProfileDevice
  readonly source: PlannedSide
  /** Null in a plan for the source alone. */
  readonly destination: PlannedSide | null
}

/** Finds what a profile's device refers to. Hex digits of BDFs and UUIDs compare without case. */
export function planSide(
  profile: ProfileDevice,
  ref: DeviceRef,
  role: Role,
  inventory: Inventory,
): PlannedSide {
  const id = refId(profile, ref)
  const kind = ref.kind === 'sim' ? ref.sim.model : ref.kind
  const device =
    inventory.devices.find(
      (entry) =>
        entry.simulated === (ref.kind === 'sim') &&
        (entry.simulated ? entry.id === id : entry.id.toLowerCase() === id.toLowerCase()),
    ) ?? null
  return { role, id: device?.id ?? id, kind, sim: ref.kind === 'sim' ? ref.sim : null, device }
}

function refId(profile: ProfileDevice, ref: DeviceRef): string {
  if (ref.kind === 'sim') return profile.name
  return ref.kind === 'mdev' ? ref.uuid : ref.bdf
}

/**
 * True when the device's group is emulated: its driver pins pages itself. Decided by the group, not the bus; a
 * device whose group is unknown counts by its kind.
 */
export function isEmulated(side: PlannedSide): boolean {
  if (side.sim !== null) return side.sim.model === 'mdev'
  return side.device?.group ? side.device.group.iommu === 'emulated' : side.kind === 'mdev'
}

/** True when the group holds this device alone. An emulated group does by construction, even if not listed. */
export function isSingleton(side: PlannedSide): boolean {
  if (side.sim !== null) return true
  const members = side.device?.group?.members.length ?? 0
  return members === 1 || (members === 0 && isEmulated(side))
}

/** The IOMMU group, unless the device is simulated or has none. */
export function groupOf(side: PlannedSide): string | null {
  return side.sim === null ? (side.device?.group?.id ?? null) : null
}

/** Migration flags, or null when they could not be asked. */
export function flagsOf(side: PlannedSide): readonly MigrationFlag[] | null {
  if (side.sim !== null) return side.sim.flags
  return side.device?.migration?.supported ? side.device.migration.flags : null
}

/** Bytes of the device's state, or null when they could not be asked. */
export function stateBytesOf(side: PlannedSide): bigint | null {
  if (side.sim !== null) return side.sim.stateBytes
  const bytes = side.device?.migration?.stateBytes ?? null
  return bytes === null ? null : BigInt(bytes)
}

/** Refusals that keep the device from being opened at all; those of the migration layer do not. */
export function openRefusals(side: PlannedSide): readonly Reason[] {
  return (side.device?.reasons ?? []).filter((reason) => isRefusal(reason) && reason.layer !== 'migration')
}

/** Whether it makes sense to judge backends, trackers and containers of this side. */
export function isOpenable(side: PlannedSide): boolean {
  return side.device !== null && openRefusals(side).length === 0
}

/** All memory of the workload, in bytes. */
export function memoryBytes(profile: Profile): bigint {
  return profile.memory.reduce((sum, region) => sum + region.bytes, 0n)
}
