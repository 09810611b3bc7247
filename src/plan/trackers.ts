import type { Profile } from '../profile/profile.js'
import type { Draft } from './containers.js'
import type { PlanContainer, PlanTracker } from './plan.js'
import type { TrackerChoice } from './tracker-choice.js'

/**
 * The trackers of the plan from the choices of its devices: a device log each, and one pinned, iommu or all tracker
 * per container that needs one. The union of what all of them report is what is dirty.
 */
export function planTrackers(
  drafts: readonly Draft[],
  choices: ReadonlyMap<string, TrackerChoice>,
  containers: readonly PlanContainer[],
  profile: Profile,
): readonly PlanTracker[] {
  const trackers = new Map<string, PlanTracker>()
  for (const { device } of drafts) {
    const choice = choices.get(device.name)
    const container = containers.find(
      (entry) => entry.side === 'source' && entry.devices.includes(device.name),
    )
    if (!choice?.kind || !container) continue
    const ofDevice = choice.kind === 'device'
    const tracker = `${choice.kind}:${ofDevice ? device.name : container.container}`
    const known = trackers.get(tracker)
    trackers.set(tracker, {
      tracker,
      kind: choice.kind,
      device: ofDevice ? device.name : null,
      container: ofDevice ? null : container.container,
      covers: [...(known?.covers ?? []), device.name],
      everyPage: choice.kind === 'all' || (choice.kind === 'pinned' && container.mixed),
      reason: joinReasons(known?.reason, choice.reason),
      refused: mergeRefusals(known?.refused ?? [], choice.refused),
    })
  }
  if (profile.trackers.process !== null) trackers.set(OF_PROCESSES.tracker, OF_PROCESSES)
  return [...trackers.values()]
}

/** It covers no device: what CPUs write is in nobody's log but theirs. */
const OF_PROCESSES: PlanTracker = {
  tracker: 'process',
  kind: 'process',
  device: null,
  container: null,
  covers: [],
  everyPage: false,
  reason:
    'the profile asks for it (trackers.process): what other processes write by CPU, no device’s tracker sees',
  refused: [],
}

function joinReasons(known: string | undefined, reason: string): string {
  return known === undefined || known.split('\n').includes(reason) ? (known ?? reason) : `${known}\n${reason}`
}

function mergeRefusals(known: PlanTracker['refused'], more: PlanTracker['refused']): PlanTracker['refused'] {
  const fresh = more.filter(
    (entry) => !known.some((other) => other.kind === entry.kind && other.reason === entry.reason),
  )
  return [...known, ...fresh]
}
