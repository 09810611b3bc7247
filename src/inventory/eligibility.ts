import { helperErrorText } from '../link/helper-error.js'
import type { DeviceFacts, HostFacts, InventoryReply } from '../protocol/protocol.js'
import { backendAvailability, backendsOf } from './backends.js'
import type { Inventory, InventoryDevice, Reason } from './inventory.js'
import { isRefusal, reason } from './reasons.js'
import { isVfioDriver, pciId, sameDriver, variantDriverFor } from './variant-drivers.js'

/**
 * Facts -> can it migrate, and every reason why not, from the bus up. A layer is judged only when the layer below
 * lets anything be known about it (an unbound function has no migration flags to speak of), but independent causes
 * all come at once: a wrong driver and a group that is not viable are two things to mend.
 */
export function buildInventory(reply: InventoryReply): Inventory {
  return {
    host: reply.host,
    devices: reply.devices.map((facts) => judgeDevice(facts, reply.host)),
    unseen: reply.unseen,
  }
}

/** Adds `migratable`, `reasons` and `backends` to one device's facts. Pure. */
export function judgeDevice(facts: DeviceFacts, host: HostFacts): InventoryDevice {
  const reasons = facts.simulated ? migrationReasons(facts) : realReasons(facts, host)
  return { ...facts, migratable: verdict(reasons), reasons, backends: backendsOf(facts, host) }
}

function realReasons(facts: DeviceFacts, host: HostFacts): Reason[] {
  const bound = boundToVfio(facts)
  const below = [
    ...iommuReasons(facts, host),
    ...driverReasons(facts, bound),
    ...(bound ? nodeReasons(facts, host) : []),
  ]
  if (!bound) return below
  // A device that cannot be opened could not be asked either: that is no cause of its own.
  const migration = migrationReasons(facts).filter((entry) => below.length === 0 || isRefusal(entry))
  return [...below, ...migration]
}

function verdict(reasons: readonly Reason[]): boolean | null {
  if (reasons.some(isRefusal)) return false
  return reasons.length === 0 ? true : null
}

/** An mdev's driver is its parent's VFIO side, whatever its name; a function's must be of the VFIO family. */
function boundToVfio(facts: DeviceFacts): boolean {
  if (facts.driver === null) return false
  return facts.kind === 'mdev' || facts.cdev !== null || isVfioDriver(facts.driver)
}

function iommuReasons(facts: DeviceFacts, host: HostFacts): Reason[] {
  const { group } = facts
  if (group?.iommu === 'noiommu') {
    return [
      reason(
        'noiommu-group',
        `group ${group.id} is in noiommu mode: the device's DMA is neither translated nor tracked`,
        'enable the IOMMU (firmware setting, intel_iommu=on or the platform default), load vfio with ' +
          'enable_unsafe_noiommu_mode=0 and bind the device again',
      ),
    ]
  }
  if (group === null) {
    if (facts.kind === 'mdev') {
      return facts.driver === null
        ? [] // The group of an mdev is made when its driver binds: not-bound says it.
        : [
            reason(
              'no-group',
              'the mdev has no IOMMU group, so VFIO did not register it',
              'look in the kernel log for why its driver failed to register it, then remove and create the mdev',
            ),
          ]
    }
    return host.iommuPresent
      ? [
          reason(
            'no-group',
            'the function has no IOMMU group although the host has an IOMMU',
            'the IOMMU does not cover this device (see the DMAR, IVRS or IORT table); use another slot or device',
          ),
        ]
      : [
          reason(
            'no-iommu',
            'the host has no IOMMU in use',
            'enable VT-d, AMD-Vi or the SMMU in firmware and boot with intel_iommu=on or the platform equivalent',
          ),
        ]
  }
  const blockers = group.members.filter((member) => member.blocksGroup)
  if (blockers.length === 0 && group.viable !== false) return []
  const named = blockers.map((member) => `${member.id} (driver ${member.driver ?? 'unknown'})`).join(', ')
  return [
    reason(
      'group-not-viable',
      blockers.length > 0
        ? `group ${group.id} is not viable: ${named} ${blockers.length > 1 ? 'are' : 'is'} bound to a host driver`
        : `the kernel says group ${group.id} is not viable, although no member was found bound to a host driver`,
      blockers.length > 0
        ? `unbind ${blockers.map((member) => member.id).join(' and ')}, or bind ${blockers.length > 1 ? 'them' : 'it'} ` +
            'to vfio-pci or pci-stub'
        : 'look for another process that has the group (a VMM, a DPDK process) and stop it',
    ),
  ]
}

function driverReasons(facts: DeviceFacts, bound: boolean): Reason[] {
  if (bound) return []
  if (facts.kind === 'mdev') {
    return [
      reason(
        'not-bound',
        'the mdev has no driver',
        `load the module that drives ${facts.mdevType ?? 'its type'}, or remove and create the mdev`,
      ),
    ]
  }
  const how = howToBind(facts)
  return facts.driver === null
    ? [reason('not-bound', `no driver is bound to ${facts.id} (${pciId(facts)})`, how)]
    : [
        reason(
          'wrong-driver',
          `${facts.id} (${pciId(facts)}) is bound to the host driver ${facts.driver}`,
          how,
        ),
      ]
}

function howToBind(facts: DeviceFacts): string {
  const variant = variantDriverFor(facts)
  if (variant === null) {
    return `no migration driver is known for ${pciId(facts)}; plain vfio-pci would bind it, but cannot migrate it`
  }
  if (variant.sharesId && facts.physicalFunction === null) {
    const has =
      facts.virtualFunctions > 0 ? `it has ${facts.virtualFunctions}` : 'create them by sriov_numvfs'
    return `not the physical function but its virtual functions migrate, bound to ${variant.driver} (${variant.since}); ${has}`
  }
  return `bind ${facts.id} to ${variant.driver}, its migration driver (${variant.since})`
}

function nodeReasons(facts: DeviceFacts, host: HostFacts): Reason[] {
  if (facts.group?.iommu === 'noiommu' || facts.group === null) return []
  const type1 = backendAvailability(host, facts, 'type1')
  const iommufd = backendAvailability(host, facts, 'iommufd')
  if (type1.available !== false || iommufd.available !== false) return []
  const found = `${type1.why}; ${iommufd.why}`
  if (facts.group.node === null && (facts.cdev?.node ?? null) === null) {
    return [
      reason(
        'no-node',
        found,
        'check that devtmpfs or udev makes /dev/vfio, and that the kernel has VFIO_GROUP or VFIO_DEVICE_CDEV',
      ),
    ]
  }
  if (host.type1 === false && host.iommufd === false) {
    return [
      reason(
        'no-backend',
        found,
        'load vfio_iommu_type1 (VFIO_CONTAINER), or iommufd with a kernel that has VFIO_DEVICE_CDEV',
      ),
    ]
  }
  return host.iommufd === false
    ? [reason('no-group-node', found, 'use a kernel with VFIO_GROUP, or one with IOMMUFD')]
    : [reason('no-cdev', found, 'use a kernel with VFIO_DEVICE_CDEV, or load vfio_iommu_type1')]
}

function migrationReasons(facts: DeviceFacts): Reason[] {
  const { migration, probe } = facts
  if (migration !== null) {
    if (!migration.supported) return [withoutMigration(facts)]
    const reasons: Reason[] = []
    if (!migration.flags.includes('stop-copy')) {
      reasons.push(
        reason(
          'no-stop-copy',
          `the driver reports the migration flags ${migration.flags.join(', ') || '(none)'} without stop-copy`,
          'the driver breaks the VFIO specification; update it',
        ),
      )
    }
    if (migration.state === 'ERROR') {
      reasons.push(
        reason(
          'in-error',
          'the device is in migration state ERROR',
          'reset it (stop what uses it, then write 1 to its reset file in sysfs); what it held is lost',
        ),
      )
    }
    return reasons
  }
  // vfio-pci itself has no migration operations for any device, so this needs no probe.
  if (!facts.simulated && facts.driver !== null && sameDriver(facts.driver, 'vfio-pci')) {
    return [withoutMigration(facts)]
  }
  return [unasked(facts, probe)]
}

function withoutMigration(facts: DeviceFacts): Reason {
  const variant = variantDriverFor(facts)
  if (facts.kind === 'function' && facts.driver !== null && sameDriver(facts.driver, 'vfio-pci')) {
    return reason(
      'generic-driver',
      `${facts.id} (${pciId(facts)}) is bound to plain vfio-pci, which has no migration support`,
      variant
        ? `bind it to ${variant.driver} (${variant.since}) instead`
        : `no migration driver is known for ${pciId(facts)}: the device cannot be moved while it works`,
    )
  }
  const better =
    variant && facts.driver !== null && !sameDriver(variant.driver, facts.driver) ? variant : null
  return reason(
    'driver-without-migration',
    `driver ${facts.driver ?? '(unknown)'} does not implement VFIO migration v2 for this device`,
    better
      ? `bind it to ${better.driver} (${better.since}) instead`
      : 'check that firmware and driver are recent enough and that migration is enabled for this function; ' +
          'otherwise the device cannot be moved while it works',
  )
}

/** Why a device was not asked. Also the planner's refusal of a device that was asked while in use. */
export function busyReason(probe: DeviceFacts['probe']): Reason {
  const who = probe.heldBy === undefined ? 'another process' : `process ${probe.heldBy}`
  return reason(
    'busy',
    probe.done
      ? `${who} holds the device open`
      : `${who} holds the device open, so its flags, trackers and state size were not asked${said(probe)}`,
    'stop the process that uses it, or let that process migrate it',
  )
}

function said(probe: DeviceFacts['probe']): string {
  return probe.error === undefined ? '' : `: ${helperErrorText(probe.error)}`
}

function unasked(facts: DeviceFacts, probe: DeviceFacts['probe']): Reason {
  switch (probe.skipped) {
    case 'busy':
      return busyReason(probe)
    case 'no-permission':
      return reason(
        'no-permission',
        `this user is not allowed to open ${facts.cdev?.node ?? facts.group?.node ?? 'the device'}${said(probe)}`,
        'run as root, or give this user the device node',
      )
    case 'failed':
      return reason(
        'probe-failed',
        probe.error ? helperErrorText(probe.error) : 'opening the device failed',
        probe.error?.suggestion ?? 'look in the kernel log for the cause',
      )
    default:
      return reason(
        'not-probed',
        'the device was not opened to ask for its flags, trackers and state size',
        'run without --no-probe, as root',
      )
  }
}
