import type { BackendKind, DeviceFacts, HostFacts } from '../protocol/protocol.js'
import type { BackendFacts } from './inventory.js'

/** Whether a backend can open this device on this host: null when the host could not be asked. */
export type Availability = { readonly available: boolean | null; readonly why: string }

/**
 * type1 needs the group's node and a container; iommufd needs the device's cdev node and /dev/iommu. A
 * `vfio-dev/vfioN` directory without `dev` (CDEV not built, or noiommu) is not a cdev, so the node counts.
 */
export function backendAvailability(
  host: HostFacts,
  device: DeviceFacts,
  backend: BackendKind,
): Availability {
  if (backend === 'sim' || device.simulated) {
    return backend === 'sim' && device.simulated
      ? { available: true, why: 'simulated inside the helper' }
      : {
          available: false,
          why: device.simulated
            ? 'the device is simulated, so only the sim backend can open it'
            : 'the device is real, so the sim backend cannot open it',
        }
  }
  const [node, hostHas, missingNode, missingHost] =
    backend === 'type1'
      ? [
          device.group?.node ?? null,
          host.type1,
          `group ${device.group?.id ?? '(none)'} has no node under /dev/vfio`,
          'the host has no type1 container (/dev/vfio/vfio)',
        ]
      : [
          device.cdev?.node ?? null,
          host.iommufd,
          'the device has no cdev node under /dev/vfio/devices',
          'the host has no /dev/iommu',
        ]
  if (hostHas === false) return { available: false, why: missingHost }
  if (node === null) return { available: false, why: missingNode }
  if (hostHas === null) return { available: null, why: `could not see whether the host has ${backend}` }
  return { available: true, why: `${node} is there` }
}

/** Every backend that could be thought of for this device, each with why or why not. */
export function backendsOf(facts: DeviceFacts, host: HostFacts): readonly BackendFacts[] {
  const kinds: readonly BackendKind[] = facts.simulated ? ['sim'] : ['type1', 'iommufd']
  return kinds.map((backend) => ({ backend, ...backendAvailability(host, facts, backend) }))
}
