import type { BackendKind, Role, TrackerKind } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import {
  groupOf,
  isEmulated,
  isOpenable,
  type PlannedDevice,
  type PlannedSide,
  memoryBytes,
} from './device.js'
import { block, warn, type Check, type PlanFinding } from './findings.js'
import type { PlanContainer } from './plan.js'
import { plainSize, listed } from '../units.js'

/** A device with what was decided for it so far. */
export interface Draft {
  readonly device: PlannedDevice
  readonly backend: { readonly source: BackendKind; readonly destination: BackendKind }
  readonly tracker: TrackerKind | null
}
interface Member {
  readonly draft: Draft
  readonly side: PlannedSide
  readonly backend: BackendKind
  readonly emulated: boolean
  readonly dirty: boolean
}

/**
 * Partitions the devices of one side into containers.
 *
 * Emulated and physical groups never share a type1 container: the first physical group turns the container's
 * pinned-page scope off, and from then on every page of the mdevs' memory is dirty in every round (measured: 0 of
 * 4096 pages before, 4096 of 4096 after). The sim backend keeps the same rule. A profile may name both into one
 * container all the same, to measure that price (trackers.mixedContainers). Under iommufd a container that tracks
 * dirty pages holds only functions, since an mdev has no page table that could be dirty-capable. Devices of one IOMMU
 * group share one page table and so one container.
 */
export function* partition(
  drafts: readonly Draft[],
  role: Role,
  profile: Profile,
): Generator<PlanFinding, readonly PlanContainer[]> {
  const holds = profile.destination.then.kind === 'hold'
  const members = drafts.flatMap((draft) => member(draft, role, holds))
  yield* checkGroups(members, role)
  const dirtyGroups = new Set(members.flatMap((entry) => (entry.dirty ? [groupOf(entry.side)] : [])))
  const buckets = new Map<string, Member[]>()
  for (const entry of members) {
    const dirty = entry.dirty || (groupOf(entry.side) !== null && dirtyGroups.has(groupOf(entry.side)))
    const name =
      entry.draft.device.profile.container ??
      `${entry.backend}-${entry.emulated ? 'mdevs' : 'functions'}${dirty ? '-dirty' : ''}`
    buckets.set(name, [...(buckets.get(name) ?? []), entry])
  }
  const several = buckets.size > 1
  const containers: PlanContainer[] = []
  for (const [name, entries] of buckets) {
    yield* checkContainer(name, entries, role, profile)
    const [first] = entries
    if (first === undefined) throw new Error(`container ${name} is empty`)
    const dirtyTracking = entries.some((entry) => entry.dirty)
    containers.push({
      container: name,
      side: role,
      backend: first.backend,
      dirtyTracking,
      mixed: isMixed(entries) && first.backend !== 'iommufd',
      devices: entries.map((entry) => entry.draft.device.name),
      reason: containerReason(entries, first, dirtyTracking, several),
    })
  }
  return containers
}

/** A destination that becomes the workload's holder is where it is tracked when it moves on. */
function member(draft: Draft, role: Role, holds: boolean): Member[] {
  const side = role === 'source' ? draft.device.source : draft.device.destination
  if (side === null) return []
  const backend = draft.backend[role]
  return [
    {
      draft,
      side,
      backend,
      emulated: isEmulated(side),
      dirty: draft.tracker === 'iommu' && (role === 'source' || (holds && tracksByIommu(side))),
    },
  ]
}

function tracksByIommu({ device }: PlannedSide): boolean {
  return device?.trackers.some(({ available, kind }) => kind === 'iommu' && available !== false) ?? false
}

function isMixed(entries: readonly Member[]): boolean {
  return new Set(entries.map((entry) => entry.emulated)).size > 1
}

function containerReason(
  entries: readonly Member[],
  first: Member,
  dirtyTracking: boolean,
  several: boolean,
): string {
  const named = first.draft.device.profile.container !== null ? 'named by the profile; ' : ''
  if (isMixed(entries) && !dirtyTracking) {
    return first.backend === 'iommufd'
      ? `${named}mdevs and functions together, which iommufd may hold: no tracker depends on this container`
      : `${named}emulated and physical groups together, so its pinned scope is every page in every round`
  }
  if (dirtyTracking) return `${named}its page table is made dirty-capable for the tracker iommu`
  if (first.backend === 'iommufd') {
    return `${named}${first.emulated ? 'mdevs, which have no page table of their own' : 'functions without the tracker iommu'}`
  }
  if (!several) {
    return `${named}${first.emulated ? 'holds emulated groups only, so pinned pages stay known' : 'holds physical groups only'}`
  }
  return first.emulated
    ? `${named}mdevs apart from functions: one physical group would make every page dirty in every round`
    : `${named}functions apart from mdevs, whose pinned pages would no longer be known beside them`
}

/** What a profile's own container names can get wrong; automatic names cannot. */
function* checkContainer(name: string, entries: readonly Member[], role: Role, profile: Profile): Check {
  const place = { side: role } as const
  const emulated = entries.filter((entry) => entry.emulated)
  const physical = entries.filter((entry) => !entry.emulated)
  const backends = [...new Set(entries.map((entry) => entry.backend))]
  const dirty = entries.filter((entry) => entry.dirty)
  const splits = entries.some((entry) => entry.backend !== 'iommufd') || dirty.length > 0
  if (emulated.length > 0 && physical.length > 0 && splits) {
    // No wish makes a page table take an mdev; a type1 container takes both kinds, at a price.
    if (dirty.length > 0 || profile.trackers.mixedContainers === 'refuse') {
      yield block(
        'plan/mixed-container',
        place,
        `container ${name} would hold ${names(emulated)} (emulated) and ${names(physical)} (physical): ` +
          (dirty.length > 0
            ? 'an mdev cannot be attached to a dirty-tracking page table'
            : 'one physical group makes every page of the container dirty in every round'),
        'remove `container:` from these devices (ferry then partitions them), or name two containers' +
          (dirty.length > 0 ? '' : '; `trackers: { mixedContainers: allow }` runs it anyway, to measure it'),
      )
      return
    }
    // Only the source is tracked; on the destination the mixture costs nothing.
    if (role === 'source') {
      yield warn(
        'plan/mixed-container',
        place,
        `container ${name} holds ${names(emulated)} (emulated) and ${names(physical)} (physical), as ` +
          'trackers.mixedContainers allows: its pinned scope calls every page dirty, so all ' +
          `${plainSize(memoryBytes(profile))} are sent again in every round and in the blackout`,
        'for measuring that price only: remove `container:` and ferry keeps them apart',
      )
    }
  }
  if (backends.length > 1) {
    yield block(
      'plan/container-backends',
      place,
      `container ${name} would hold devices of the backends ${listed(backends)}: ` +
        entries.map((entry) => `${entry.draft.device.name} ${entry.backend}`).join(', '),
      'give these devices one `backend:`, or remove `container:`',
    )
  }
  for (const entry of dirty.length > 0 ? entries : []) {
    const facts = entry.side.device?.trackers.find((tracker) => tracker.kind === 'iommu')
    if (entry.dirty || entry.side.sim !== null || facts?.available !== false) continue
    yield block(
      'plan/container-dirty',
      { side: role, device: entry.draft.device.name },
      `container ${name} tracks dirty pages for ${names(dirty)}, but the IOMMU of ${entry.side.id} cannot: ` +
        (facts.reason ?? 'no dirty tracking'),
      'give this device a container of its own, or another tracker to the others',
    )
  }
}

/** One IOMMU group is one page table: its devices cannot be told apart by container or backend. */
function* checkGroups(members: readonly Member[], role: Role): Check {
  const groups = new Map<string, Member[]>()
  for (const entry of members) {
    const group = groupOf(entry.side)
    if (group !== null && isOpenable(entry.side)) groups.set(group, [...(groups.get(group) ?? []), entry])
  }
  for (const [group, entries] of groups) {
    const kinds = new Set(
      entries.map((entry) => `${entry.backend} ${entry.draft.device.profile.container ?? ''}`.trim()),
    )
    if (kinds.size < 2) continue
    yield block(
      'plan/group-split',
      { side: role },
      `${names(entries)} are in IOMMU group ${group}, but would be opened apart: ${listed([...kinds])}`,
      'give them the same `backend:` and the same `container:` (or none)',
    )
  }
}

function names(entries: readonly Member[]): string {
  return listed(entries.map((entry) => entry.draft.device.name))
}
