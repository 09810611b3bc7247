import type { BackendKind, DeviceTracker } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { PlanCode } from './codes.js'
import { memoryBytes, isEmulated, isOpenable, type PlannedDevice, type PlannedSide } from './device.js'
import type { PlanContainer } from './plan.js'
import { block, warn, type PlanFinding } from './findings.js'
import { plainSize, listed } from '../units.js'
import { offersFor, type Offer, type Refusal } from './tracker-offers.js'

export interface TrackerChoice {
  /** Null: nothing was left, and a blocker says so. */
  readonly kind: DeviceTracker | null
  /** In a few words. */
  readonly brief: string
  readonly reason: string
  readonly refused: readonly Refusal[]
}
const BRIEF: Readonly<Record<DeviceTracker, string>> = {
  pinned: 'alone in an emulated group: what its driver pins is known',
  device: 'its driver logs its DMA',
  iommu: 'its IOMMU sets dirty bits, which iommufd reads',
  all: 'its writes are not tracked: every page counts in every round',
}

/** The tracker of one device in the backend chosen for it, why, and why not the others. */
export function* chooseTracker(
  device: PlannedDevice,
  backend: BackendKind,
  profile: Profile,
): Generator<PlanFinding, TrackerChoice> {
  const offers = offersFor(device.source, backend, profile)
  const wanted = device.profile.tracker
  const chosen =
    wanted === 'auto'
      ? best(offers, order(device.source, profile))
      : offers.find((entry) => entry.kind === wanted && entry.works !== false)
  if (!isOpenable(device.source)) {
    return {
      kind: null,
      brief: 'the device cannot be opened',
      reason: 'the device cannot be opened',
      refused: [],
    }
  }
  const refused = offers.filter((entry) => entry !== chosen).map((entry) => refusal(entry, chosen, wanted))
  if (chosen === undefined) {
    yield noneLeft(device, offers)
    return { kind: null, brief: 'none is possible: see the blockers', reason: 'no tracker is left', refused }
  }
  const place = { side: 'source', device: device.name } as const
  if (chosen.works === null) {
    yield warn(
      'plan/unseen',
      place,
      `tracker ${chosen.kind} is planned, but ${chosen.reason}`,
      'run as root, with the device not in use; if it is not there the run stops before anything moves',
    )
  }
  if (chosen.kind === 'all') {
    yield warn(
      'plan/all-pages',
      place,
      `no tracker reports what ${device.source.id} writes: all ${plainSize(memoryBytes(profile))} are sent again in every ` +
        'round and in the blackout, written or not',
      'use a driver with DMA logging, or iommufd on a host whose IOMMU tracks dirty pages',
    )
  }
  return {
    kind: chosen.kind,
    brief: briefly(chosen, offers, wanted, profile),
    reason: wanted === 'auto' ? chosen.reason : `the profile asks for it; ${chosen.reason}`,
    refused,
  }
}

function briefly(
  chosen: Offer,
  offers: readonly Offer[],
  wanted: DeviceTracker | 'auto',
  profile: Profile,
): string {
  const alternatives = offers.filter((entry) => entry.works === true && entry.kind === 'device')
  const preferred = chosen.kind === 'iommu' && profile.trackers.prefer === 'iommu' && alternatives.length > 0
  const why = wanted === 'all' && chosen.kind === 'all' ? 'every page in every round' : BRIEF[chosen.kind]
  const seen = chosen.works === null ? ' (not seen yet)' : ''
  return `${wanted !== 'auto' ? 'asked for; ' : preferred ? 'preferred; ' : ''}${why}${seen}`
}

/**
 * What becomes of a choice in a container where emulated and physical groups are mixed on purpose: `pinned` stays, for
 * GET_BITMAP is what the operator wants to measure, and reports every page.
 */
export function* inMixedContainer(
  choice: TrackerChoice,
  device: PlannedDevice,
  container: PlanContainer,
  profile: Profile,
): Generator<PlanFinding, TrackerChoice> {
  if (choice.kind !== 'pinned' || !container.mixed) return choice
  const cost = `the container ${container.container} holds physical groups, too, so it reports every page in every round`
  if (profile.trackers.forbidAll) {
    yield block(
      'plan/all-forbidden',
      { side: 'source', device: device.name },
      `${device.source.id} would be tracked by pinned, but ${cost}, which trackers.forbidAll forbids`,
      'remove forbidAll while you measure, or remove `container:` and ferry keeps the groups apart',
    )
  }
  return {
    ...choice,
    brief: 'pinned, but in a mixed container: every page in every round',
    reason: `type1 reports for the container what it calls dirty; ${cost}, written or not (trackers.mixedContainers)`,
  }
}

function order(side: PlannedSide, profile: Profile): readonly DeviceTracker[] {
  if (isEmulated(side)) return ['pinned', 'device', 'all']
  return profile.trackers.prefer === 'iommu' ? ['iommu', 'device', 'all'] : ['device', 'iommu', 'all']
}

/** What surely works, in order; then what may work; `all` only when nothing else is left. */
function best(offers: readonly Offer[], kinds: readonly DeviceTracker[]): Offer | undefined {
  const ordered = kinds.flatMap((kind) => offers.filter((entry) => entry.kind === kind))
  const precise = ordered.filter((entry) => entry.kind !== 'all')
  return (
    precise.find((entry) => entry.works === true) ??
    precise.find((entry) => entry.works === null) ??
    ordered.find((entry) => entry.kind === 'all' && entry.works === true)
  )
}

function refusal(entry: Offer, chosen: Offer | undefined, wanted: DeviceTracker | 'auto'): Refusal {
  if (entry.works === true && entry.kind !== 'all' && chosen !== undefined) {
    const why = wanted === 'auto' ? `${chosen.kind} comes first` : `the profile asks for ${wanted}`
    return { kind: entry.kind, code: 'not-preferred', reason: `would work; ${why}` }
  }
  return { kind: entry.kind, code: entry.code, reason: entry.reason }
}

function noneLeft(device: PlannedDevice, offers: readonly Offer[]): PlanFinding {
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
    return block(
      code,
      place,
      `the profile asks for tracker ${asked.kind} for ${device.source.id}, but ${asked.reason}`,
      asked.code === 'needs-type1' ? 'use `backend: type1` for this mdev, or another tracker' : instead,
    )
  }
  const others = offers
    .filter((entry) => entry.kind !== 'all')
    .map((entry) => `${entry.kind}: ${entry.reason}`)
  return block(
    'plan/all-forbidden',
    place,
    wanted === 'all'
      ? `the profile asks for tracker all for ${device.source.id}, and trackers.forbidAll is set`
      : `only \`all\` would be left for ${device.source.id}, and trackers.forbidAll is set (${listed(others)})`,
    'remove forbidAll and accept that every page is sent in every round, or use a device with a tracker',
  )
}
