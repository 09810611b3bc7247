import type { Inventory } from '../inventory/inventory.js'
import type { Profile } from '../profile/profile.js'
import { chooseBackends } from './backends.js'
import { partition, type Draft } from './containers.js'
import { planSide, stateBytesOf, type PlannedDevice, memoryBytes } from './device.js'
import { collect, type PlanFinding } from './findings.js'
import { makeForecast } from './forecast.js'
import { checkHosts } from './host-checks.js'
import {
  checkP2p,
  checkPair,
  checkSharedGroups,
  checkSide,
  checkUniqueness,
  type Purpose,
} from './pairing.js'
import type { DeviceChoice, DevicePair, Forecast, Plan, PlanContainer, PlanTracker } from './plan.js'
import { checkHolderSocket } from './sockets.js'
import { makeSteps, type StateFolders } from './steps.js'
import { chooseTracker, inMixedContainer, type TrackerChoice } from './tracker-choice.js'
import { trackerCost } from './tracker-cost.js'
import { planTrackers } from './trackers.js'

export interface PlanOptions extends StateFolders {
  /** `measure` (pin, dirty-log) takes devices that cannot migrate, too. Default `migrate`. */
  readonly purpose?: Purpose
}

/**
 * (Profile, Inventory, Inventory) -> Plan. Pure: nothing is opened, nothing is asked. Every check runs whatever
 * the others found, so that all blockers come at once; a plan with blockers carries no steps, so there is nothing
 * that could be run. `destination` null plans the source side alone.
 */
export function makePlan(
  profile: Profile,
  source: Inventory,
  destination: Inventory | null,
  options: PlanOptions,
): Plan {
  const { blockers, decided, warnings } = collect(decide(profile, source, destination, options))
  const { choices, containers, devices, drafts, forecast, trackers } = decided
  const pageSize = Math.min(source.host.pageSize, destination?.host.pageSize ?? source.host.pageSize)
  const named = new Set(devices.flatMap((device) => [device.source.id, device.destination?.id]))
  return {
    profile: profile.name,
    pageSize,
    pairs: drafts.map((draft) => pair(draft)),
    containers,
    trackers,
    choices: drafts.map((draft) => deviceChoice(draft, choices, containers, trackers, pageSize, profile)),
    steps:
      blockers.length > 0
        ? []
        : makeSteps({ profile, pageSize, devices, containers, trackers }, { source, destination }, options),
    forecast,
    blockers,
    warnings,
    inventories: {
      source: only(source, named),
      destination: destination === null ? notAsked(source) : only(destination, named),
    },
  }
}

interface Decided {
  readonly devices: readonly PlannedDevice[]
  readonly drafts: readonly Draft[]
  readonly choices: ReadonlyMap<string, TrackerChoice>
  readonly containers: readonly PlanContainer[]
  readonly trackers: readonly PlanTracker[]
  readonly forecast: Forecast
}

function* decide(
  profile: Profile,
  source: Inventory,
  destination: Inventory | null,
  { destinationStateDir, purpose = 'migrate', stateDir }: PlanOptions,
): Generator<PlanFinding, Decided> {
  const devices = profile.devices.map((device): PlannedDevice => ({
    name: device.name,
    profile: device,
    source: planSide(device, device.source, 'source', source),
    destination:
      destination === null ? null : planSide(device, device.destination, 'destination', destination),
  }))
  for (const device of devices) {
    yield* checkSide(device, device.source, source, purpose)
    if (device.destination !== null && destination !== null) {
      yield* checkSide(device, device.destination, destination, purpose)
    }
    if (purpose === 'migrate') yield* checkPair(device)
  }
  yield* checkUniqueness(devices, profile)
  yield* checkSharedGroups(devices, profile)
  if (purpose === 'migrate') yield* checkP2p(devices)

  const backends = yield* chooseBackends(devices, profile, { source, destination })
  const choices = new Map<string, TrackerChoice>()
  const drafts: Draft[] = []
  for (const device of devices) {
    const backend = backends.get(device.name) ?? { source: 'sim', destination: 'sim' }
    const choice = yield* chooseTracker(device, backend.source, profile)
    choices.set(device.name, choice)
    drafts.push({ device, backend, tracker: choice.kind })
  }
  const containers = [...(yield* partition(drafts, 'source', profile))]
  if (destination !== null) containers.push(...(yield* partition(drafts, 'destination', profile)))
  for (const device of devices) {
    const choice = choices.get(device.name)
    const container = homeOf(device.name, containers)
    if (choice === undefined || container === null) continue
    choices.set(device.name, yield* inMixedContainer(choice, device, container, profile))
  }
  yield* checkHosts(profile, source, destination, drafts, containers)
  if (purpose === 'hold') yield* checkHolderSocket(profile, stateDir, 'source')
  if (purpose === 'migrate' && profile.destination.then.kind === 'hold') {
    yield* checkHolderSocket(profile, destinationStateDir ?? stateDir, 'destination')
  }
  const trackers = planTrackers(drafts, choices, containers, profile)
  const forecast = yield* makeForecast(profile, devices, trackers)
  return { devices, drafts, choices, containers, trackers, forecast }
}

function homeOf(device: string, containers: readonly PlanContainer[]): PlanContainer | null {
  return containers.find((entry) => entry.side === 'source' && entry.devices.includes(device)) ?? null
}

function deviceChoice(
  { device, backend }: Draft,
  choices: ReadonlyMap<string, TrackerChoice>,
  containers: readonly PlanContainer[],
  trackers: readonly PlanTracker[],
  pageSize: number,
  profile: Profile,
): DeviceChoice {
  const container = homeOf(device.name, containers)
  const tracker = trackers.find((entry) => entry.covers.includes(device.name)) ?? null
  const choice = choices.get(device.name)
  return {
    device: device.name,
    kind: choice?.kind ?? null,
    tracker: tracker?.tracker ?? null,
    backend: backend.source,
    container: container?.container ?? null,
    brief: choice?.brief ?? '',
    reason: choice?.reason ?? '',
    refused: choice?.refused ?? [],
    cost:
      tracker &&
      trackerCost(
        tracker.kind,
        tracker.everyPage,
        pageSize,
        memoryBytes(profile),
        profile.trackers.iommuHugePages,
      ),
    partition: container?.reason ?? null,
  }
}

function pair({ device, backend }: Draft): DevicePair {
  return {
    device: device.name,
    source: device.source.id,
    destination: device.destination?.id ?? '(none)',
    backend: backend.source,
    stateBytes: stateBytesOf(device.source),
  }
}

/** The plan keeps the devices it speaks of; a host may have hundreds more. */
function only(inventory: Inventory, ids: ReadonlySet<string | undefined>): Inventory {
  return { ...inventory, devices: inventory.devices.filter((device) => ids.has(device.id)) }
}

function notAsked(source: Inventory): Inventory {
  return {
    host: source.host,
    devices: [],
    unseen: ['the destination was not asked: this plan is for the source'],
  }
}
