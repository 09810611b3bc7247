/** What each tracker could do for one device in the backend chosen for it. */
import type { BackendKind, DeviceTracker } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { isEmulated, isSingleton, type PlannedSide } from './device.js'

/** Why a tracker was not taken; `code` is stable, scripts may branch on it. */
export interface Refusal {
  readonly kind: DeviceTracker
  readonly code:
    | 'needs-emulated-group'
    | 'needs-singleton-group'
    | 'needs-type1'
    | 'needs-iommufd'
    | 'not-for-mdev'
    | 'not-offered'
    | 'not-seen'
    | 'not-preferred'
    | 'less-precise'
    | 'forbidden'
  readonly reason: string
}
export interface Offer {
  readonly kind: DeviceTracker
  /** Null: whether it works could not be seen. */
  readonly works: boolean | null
  readonly code: Refusal['code']
  readonly reason: string
}

const KINDS: readonly DeviceTracker[] = ['pinned', 'device', 'iommu', 'all']

/** All four, each judged on its own. */
export function offersFor(side: PlannedSide, backend: BackendKind, profile: Profile): readonly Offer[] {
  return KINDS.map((kind) => offer(kind, side, backend, profile))
}

function offer(kind: DeviceTracker, side: PlannedSide, backend: BackendKind, profile: Profile): Offer {
  switch (kind) {
    case 'pinned':
      return pinned(side, backend)
    case 'device':
      return fromFacts('device', side, 'the driver logs the DMA of the device')
    case 'iommu':
      return iommu(side, backend)
    case 'all':
      return profile.trackers.forbidAll
        ? no('all', 'forbidden', 'the profile forbids it (trackers.forbidAll)')
        : {
            kind: 'all',
            works: true,
            code: 'less-precise',
            reason: 'needs nothing, but every mapped page is dirty in every round',
          }
  }
}

/** type1's pinned-page scope: exact only while every group of the container is emulated. */
function pinned(side: PlannedSide, backend: BackendKind): Offer {
  if (!isEmulated(side)) {
    return no(
      'pinned',
      'needs-emulated-group',
      'its group is physical: type1 pins all of its memory and calls every page dirty',
    )
  }
  if (!isSingleton(side)) {
    const members = side.device?.group?.members.length ?? 0
    return no('pinned', 'needs-singleton-group', `its group holds ${members} devices instead of one`)
  }
  if (backend === 'iommufd') {
    return no(
      'pinned',
      'needs-type1',
      'iommufd has no pinned-page scope; it exists in a type1 container only',
    )
  }
  const scope = 'its group is emulated and a singleton, so type1 knows the pages its driver pinned or wrote'
  if (side.sim !== null) {
    return side.sim.trackers.includes('pinned')
      ? { kind: 'pinned', works: true, code: 'not-preferred', reason: scope }
      : no('pinned', 'not-offered', 'the simulated device is declared without it')
  }
  // The scope itself is the kernel's promise; what can be missing is a type1 that is not iommufd's imitation.
  const facts = side.device?.trackers.find((entry) => entry.kind === 'pinned')
  if (facts?.available === false) {
    return no('pinned', 'not-offered', facts.reason ?? 'the host does not offer it')
  }
  if (facts?.available === null) return unseen('pinned', facts.reason)
  return { kind: 'pinned', works: true, code: 'not-preferred', reason: scope }
}

function iommu(side: PlannedSide, backend: BackendKind): Offer {
  if (isEmulated(side)) {
    return no(
      'iommu',
      'not-for-mdev',
      'no IOMMU page table stands behind an mdev, so there are no dirty bits',
    )
  }
  if (backend === 'type1') {
    return no('iommu', 'needs-iommufd', 'type1 never reads the dirty bits of the IOMMU; iommufd does')
  }
  return fromFacts('iommu', side, 'the IOMMU sets dirty bits in an iommufd page table')
}

function fromFacts(kind: 'device' | 'iommu', side: PlannedSide, works: string): Offer {
  if (side.sim !== null) {
    return side.sim.trackers.includes(kind)
      ? { kind, works: true, code: 'not-preferred', reason: works }
      : no(kind, 'not-offered', 'the simulated device is declared without it')
  }
  const facts = side.device?.trackers.find((entry) => entry.kind === kind)
  const said = facts?.reason
  switch (facts?.available ?? null) {
    case true:
      return { kind, works: true, code: 'not-preferred', reason: said ? `${works} (${said})` : works }
    case false:
      return no(
        kind,
        'not-offered',
        said ?? (kind === 'device' ? 'the driver has no DMA log' : 'the IOMMU has no dirty tracking'),
      )
    default:
      return unseen(kind, said)
  }
}

function unseen(kind: DeviceTracker, said: string | undefined): Offer {
  const reason = `it could not be seen whether it works${said === undefined ? '' : `: ${said}`}`
  return { kind, works: null, code: 'not-seen', reason }
}

function no(kind: DeviceTracker, code: Refusal['code'], reason: string): Offer {
  return { kind, works: false, code, reason }
}
