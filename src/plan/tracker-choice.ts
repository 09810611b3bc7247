import type { BackendKind, TrackerKind } from '../link/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { PlanCode } from './codes.js'
import { isEmulated, isOpenable, isSingleton, type PlannedDevice, type PlannedSide } from './device.js'
import { record, type Findings } from './findings.js'
import { listText } from './quantities.js'

/** Why a tracker was not taken; `code` is stable, scripts may branch on it. */
export interface Refusal {
  readonly kind: TrackerKind
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
export interface TrackerChoice {
  /** Null: nothing was left, and a blocker says so. */
  readonly kind: TrackerKind | null
  readonly reason: string
  readonly refused: readonly Refusal[]
}
interface Offer {
  readonly kind: TrackerKind
  /** Null: whether it works could not be seen. */
  readonly works: boolean | null
  readonly code: Refusal['code']
  readonly reason: string
}

const KINDS: readonly TrackerKind[] = ['pinned', 'device', 'iommu', 'all']

/** The tracker of one device in the backend chosen for it, why, and why not the others. */
export function chooseTracker(
  device: PlannedDevice,
  backend: BackendKind,
  profile: Profile,
  findings: Findings,
): TrackerChoice {
  const offers = KINDS.map((kind) => offer(kind, device.source, backend, profile))
  const wanted = device.profile.tracker
  const chosen =
    wanted === 'auto'
      ? best(offers, order(device.source, profile))
      : offers.find((entry) => entry.kind === wanted && entry.works !== false)
  if (!isOpenable(device.source)) return { kind: null, reason: 'the device cannot be opened', refused: [] }
  const refused = offers.filter((entry) => entry !== chosen).map((entry) => refusal(entry, chosen, wanted))
  if (chosen === undefined) {
    block(device, offers, findings)
    return { kind: null, reason: 'no tracker is left', refused }
  }
  const place = { side: 'source', device: device.name } as const
  if (chosen.works === null) {
    record(
      findings,
      'warn',
      'plan/unseen',
      place,
      `tracker ${chosen.kind} is planned, but ${chosen.reason}`,
      'run as root, with the device not in use; if it is not there the run stops before anything moves',
    )
  }
  if (chosen.kind === 'all') {
    record(
      findings,
      'warn',
      'plan/all-pages',
      place,
      `no tracker sees what ${device.source.id} writes: every mapped page is sent again in every round`,
      'use a driver with DMA logging, or iommufd on a host whose IOMMU tracks dirty pages',
    )
  }
  return {
    kind: chosen.kind,
    reason: wanted === 'auto' ? chosen.reason : `the profile asks for it; ${chosen.reason}`,
    refused,
  }
}

function order(side: PlannedSide, profile: Profile): readonly TrackerKind[] {
  if (isEmulated(side)) return ['pinned', 'device', 'all']
  return profile.trackers.prefer === 'iommu' ? ['iommu', 'device', 'all'] : ['device', 'iommu', 'all']
}

/** What surely works, in order; then what may work; `all` only when nothing else is left. */
function best(offers: readonly Offer[], kinds: readonly TrackerKind[]): Offer | undefined {
  const ordered = kinds.flatMap((kind) => offers.filter((entry) => entry.kind === kind))
  const precise = ordered.filter((entry) => entry.kind !== 'all')
  return (
    precise.find((entry) => entry.works === true) ??
    precise.find((entry) => entry.works === null) ??
    ordered.find((entry) => entry.kind === 'all' && entry.works === true)
  )
}

function offer(kind: TrackerKind, side: PlannedSide, backend: BackendKind, profile: Profile): Offer {
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

function unseen(kind: TrackerKind, said: string | undefined): Offer {
  const reason = `it could not be seen whether it works${said === undefined ? '' : `: ${said}`}`
  return { kind, works: null, code: 'not-seen', reason }
}

function no(kind: TrackerKind, code: Refusal['code'], reason: string): Offer {
  return { kind, works: false, code, reason }
}

function refusal(entry: Offer, chosen: Offer | undefined, wanted: TrackerKind | 'auto'): Refusal {
  if (entry.works === true && entry.kind !== 'all' && chosen !== undefined) {
    const why = wanted === 'auto' ? `${chosen.kind} comes first` : `the profile asks for ${wanted}`
    return { kind: entry.kind, code: 'not-preferred', reason: `would work; ${why}` }
  }
  return { kind: entry.kind, code: entry.code, reason: entry.reason }
}

function block(device: PlannedDevice, offers: readonly Offer[], findings: Findings): void {
  const place = { side: 'source', device: device.name } as const
  const wanted = device.profile.tracker
  const asked = offers.find((entry) => entry.kind === wanted)
  const able = offers.filter((entry) => entry.works === true).map((entry) => entry.kind)
  const instead =
    able.length > 0 ? `set \`tracker: auto\` or one of: ${able.join(', ')}` : 'set `tracker: auto`'
  if (asked !== undefined && asked.code !== 'forbidden') {
    const code: PlanCode =
      asked.kind !== 'pinned'
        ? 'plan/tracker-unavailable'
        : asked.code === 'needs-type1'
          ? 'plan/pinned-needs-type1'
          : asked.code === 'not-offered'
            ? 'plan/tracker-unavailable'
            : 'plan/pinned-needs-emulated'
    record(
      findings,
      'block',
      code,
      place,
      `the profile asks for tracker ${asked.kind} for ${device.source.id}, but ${asked.reason}`,
      asked.code === 'needs-type1' ? 'use `backend: type1` for this mdev, or another tracker' : instead,
    )
    return
  }
  const others = offers
    .filter((entry) => entry.kind !== 'all')
    .map((entry) => `${entry.kind}: ${entry.reason}`)
  record(
    findings,
    'block',
    'plan/all-forbidden',
    place,
    wanted === 'all'
      ? `the profile asks for tracker all for ${device.source.id}, and trackers.forbidAll is set`
      : `only \`all\` would be left for ${device.source.id}, and trackers.forbidAll is set (${listText(others)})`,
    'remove forbidAll and accept that every page is sent in every round, or use a device with a tracker',
  )
}
