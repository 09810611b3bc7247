import { backendAvailability } from '../inventory/backends.js'
import type { Inventory } from '../inventory/inventory.js'
import type { BackendKind } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { isEmulated, isOpenable, type PlannedDevice, type PlannedSide } from './device.js'
import { block, warn, type PlanFinding } from './findings.js'

export interface BackendChoice {
  readonly source: BackendKind
  readonly destination: BackendKind
}
interface Inventories {
  readonly source: Inventory
  readonly destination: Inventory | null
}

/**
 * Which backend opens each device. An mdev goes through type1 where there is one, because only there its pinned
 * pages are known; a function through iommufd, because only there the IOMMU's dirty bits can be read. What the
 * profile says (a backend, a tracker that exists in one backend only, a container shared with a device that says)
 * comes first. The destination follows the source where it can.
 */
export function* chooseBackends(
  devices: readonly PlannedDevice[],
  profile: Profile,
  inventories: Inventories,
): Generator<PlanFinding, ReadonlyMap<string, BackendChoice>> {
  const choices = new Map<string, BackendChoice>()
  for (const device of devices) {
    const wanted = wantedBackend(device, devices, profile)
    const source = yield* chooseSide(device, device.source, wanted, inventories.source)
    const destination =
      device.destination === null || inventories.destination === null
        ? source
        : yield* chooseSide(
            device,
            device.destination,
            wanted.required === null ? { ...wanted, first: source } : wanted,
            inventories.destination,
          )
    if (source !== destination && source !== 'sim' && destination !== 'sim') {
      yield warn(
        'plan/backend-differs',
        { side: 'both', device: device.name },
        `the source opens it through ${source}, the destination through ${destination}`,
        'works, since the state stream does not depend on it; name one `backend:` in the profile to refuse it',
      )
    }
    choices.set(device.name, { source, destination })
  }
  return choices
}

interface Wanted {
  readonly required: BackendKind | null
  /** Why it is required, for the refusal. */
  readonly because: string
  readonly first?: BackendKind
}

function wantedBackend(device: PlannedDevice, devices: readonly PlannedDevice[], profile: Profile): Wanted {
  const { backend, tracker, container } = device.profile
  if (backend !== 'auto') return { required: backend, because: 'the profile asks for it' }
  if (tracker === 'iommu' && !isEmulated(device.source))
    return { required: 'iommufd', because: 'the tracker iommu exists there only' }
  if (tracker === 'pinned' && isEmulated(device.source)) {
    return { required: 'type1', because: 'the tracker pinned exists there only' }
  }
  const together = devices.filter((other) => container !== null && other.profile.container === container)
  const companions = new Set(
    together.flatMap((other) => (other.profile.backend === 'auto' ? [] : [other.profile.backend])),
  )
  const [only] = companions
  const kinds = new Set(together.map((other) => isEmulated(other.source)))
  if (only === undefined && kinds.size > 1 && profile.trackers.mixedContainers === 'allow') {
    return {
      required: 'type1',
      because: `container ${container} mixes emulated and physical groups on purpose, which only type1 takes`,
    }
  }
  return only !== undefined && companions.size === 1
    ? { required: only, because: `the other devices of container ${container} use it` }
    : { required: null, because: '' }
}

function* chooseSide(
  device: PlannedDevice,
  side: PlannedSide,
  wanted: Wanted,
  inventory: Inventory,
): Generator<PlanFinding, BackendKind> {
  const place = { side: side.role, device: device.name }
  if (side.sim !== null) {
    if (device.profile.backend !== 'auto' && device.profile.backend !== 'sim') {
      yield block(
        'plan/backend-missing',
        place,
        `backend ${device.profile.backend} is asked for, but the device is simulated`,
        'remove `backend:` from the device, or name a real device',
      )
    }
    return 'sim'
  }
  const byKind = isEmulated(side) ? (['type1', 'iommufd'] as const) : (['iommufd', 'type1'] as const)
  const [best, ...others] = byKind
  const fallback = wanted.required ?? wanted.first ?? best
  if (side.device === null || !isOpenable(side)) return fallback
  const facts = side.device
  const order = wanted.required !== null ? [fallback] : [...new Set([fallback, best, ...others])]
  const seen = order.map((backend) => ({ backend, ...backendAvailability(inventory.host, facts, backend) }))
  const sure = seen.find((entry) => entry.available === true)
  if (sure) return sure.backend
  const perhaps = seen.find((entry) => entry.available === null)
  if (perhaps) {
    yield warn('plan/unseen', place, perhaps.why, 'run as root to see it; the run will find out')
    return perhaps.backend
  }
  const why = seen.map((entry) => entry.why).join('; ')
  yield block(
    'plan/backend-missing',
    place,
    wanted.required !== null
      ? `backend ${wanted.required} is needed (${wanted.because}), but ${why}`
      : `no backend can open ${side.id}: ${why}`,
    wanted.required !== null
      ? 'set `backend: auto`, or provide that backend (see `ferry devices --device ' + side.id + '`)'
      : 'load vfio_iommu_type1, or iommufd with a kernel that has VFIO_DEVICE_CDEV',
  )
  return fallback
}
