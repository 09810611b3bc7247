import type { DeviceState } from '../protocol/protocol.js'
import type { Profile, Sim } from '../profile/profile.js'
import { stateBytesOf, type PlannedDevice, memoryBytes } from './device.js'
import { warn, type PlanFinding } from './findings.js'
import type { Forecast, PlanTracker } from './plan.js'
import { plainSize, listed, duration } from '../units.js'

/** What can be said before anything is measured. Lower bounds, and named as such. */
export function* makeForecast(
  profile: Profile,
  devices: readonly PlannedDevice[],
  trackers: readonly PlanTracker[],
): Generator<PlanFinding, Forecast> {
  const memory = memoryBytes(profile)
  const states = devices.map((device) => stateBytesOf(device.source))
  const stateBytes = states.reduce<bigint | null>(
    (sum, bytes) => (sum === null || bytes === null ? null : sum + bytes),
    0n,
  )
  const all = trackers.filter((tracker) => tracker.kind === 'all')
  const everyPage = trackers.some((tracker) => tracker.everyPage)
  const floorBytes = everyPage ? memory : pinnedFloor(profile, devices, trackers)
  const fixedBlackoutUs = fixedBlackout(devices)
  const notes: string[] = []
  if (all.length > 0) {
    notes.push(
      `${listed(all.flatMap((tracker) => tracker.covers))} cannot be tracked, so all ${plainSize(memory)} are dirty ` +
        'in every round: pre-copy cannot shrink the blackout',
    )
  } else if (everyPage) {
    notes.push(
      `${listed(trackers.filter((tracker) => tracker.everyPage).map((tracker) => tracker.tracker))} reports every page ` +
        `of its mixed container, so all ${plainSize(memory)} are dirty in every round: pre-copy cannot shrink the blackout`,
    )
  } else if (floorBytes > 0n) {
    notes.push(
      `pinned pages are dirty on every read: ${plainSize(floorBytes)} are sent in the blackout at least`,
    )
  }
  notes.push(...unknowns(devices, trackers, stateBytes))
  notes.push(yield* rateNote(profile, floorBytes, stateBytes, fixedBlackoutUs))
  if (profile.migration.verify === 'full') {
    notes.push(
      `verify: full hashes all ${plainSize(memory)} on both sides while the devices are stopped; ` +
        'that counts toward the downtime limit, and the report gives it apart',
    )
  }
  return { memoryBytes: memory, stateBytes, floorBytes, fixedBlackoutUs, notes }
}

/** Pages simulated mdevs under the pinned tracker keep pinned: the union of their windows inside the memory. */
function pinnedFloor(
  profile: Profile,
  devices: readonly PlannedDevice[],
  trackers: readonly PlanTracker[],
): bigint {
  const pinned = new Set(
    trackers.filter((tracker) => tracker.kind === 'pinned').flatMap((tracker) => tracker.covers),
  )
  const windows = devices.flatMap((device) =>
    device.source.sim !== null && pinned.has(device.name) ? [device.source.sim.window] : [],
  )
  const pieces = windows.flatMap((window) =>
    profile.memory.map((region) => ({
      start: window.iova > region.iova ? window.iova : region.iova,
      end: least(window.iova + window.bytes, region.iova + region.bytes),
    })),
  )
  return unionBytes(pieces)
}

/** Bytes covered by at least one of the half-open ranges; empty ranges count nothing. */
export function unionBytes(ranges: readonly { readonly start: bigint; readonly end: bigint }[]): bigint {
  const sorted = ranges
    .filter((range) => range.end > range.start)
    .toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  let covered = 0n
  let reached: bigint | null = null
  for (const { start, end } of sorted) {
    const from: bigint = reached !== null && reached > start ? reached : start
    if (end > from) covered += end - from
    if (reached === null || end > reached) reached = end
  }
  return covered
}

/**
 * What the devices' own transitions cost, in microseconds: each phase of the cutover lasts as long as its slowest
 * device, and the phases follow each other. Known for simulated devices only; a real driver's times show in the run.
 * Includes the time a simulated device needs for the state it cannot give before it stops.
 */
export function fixedBlackout(devices: readonly PlannedDevice[]): number {
  const slowest = (time: (from: Sim, to: Sim) => number): number =>
    Math.max(
      0,
      ...devices.map(({ source, destination }) =>
        source.sim === null ? 0 : time(source.sim, destination?.sim ?? source.sim),
      ),
    )
  const quiesce = slowest((from) => {
    if (!from.flags.includes('p2p')) return 0
    return latency(from, from.flags.includes('pre-copy') ? 'PRE_COPY_P2P' : 'RUNNING_P2P')
  })
  // From PRE_COPY* the arc to STOP_COPY is native; from RUNNING* it leads through STOP.
  const stop = slowest(
    (from) => latency(from, 'STOP_COPY') + (from.flags.includes('pre-copy') ? 0 : latency(from, 'STOP')),
  )
  const state = slowest((from, to) => {
    const left = from.stateBytes - (from.flags.includes('pre-copy') ? from.precopyBytes : 0n)
    const rates = [from.stateBytesPerSecond, to.stateBytesPerSecond].filter((rate) => rate !== null)
    const rate = rates.reduce<bigint | null>((slow, one) => (slow === null || one < slow ? one : slow), null)
    return rate === null || rate === 0n || left <= 0n ? 0 : Number((left * 1_000_000n) / rate)
  })
  const load = slowest((_, to) => latency(to, 'STOP'))
  const ready = slowest((_, to) => (to.flags.includes('p2p') ? latency(to, 'RUNNING_P2P') : 0))
  const resume = slowest((_, to) => latency(to, 'RUNNING'))
  return Math.ceil(quiesce + stop + state + load + ready + resume)
}

function latency(sim: Sim, state: DeviceState): number {
  return sim.latencyUs[state] ?? 0
}

function unknowns(
  devices: readonly PlannedDevice[],
  trackers: readonly PlanTracker[],
  stateBytes: bigint | null,
): string[] {
  const notes: string[] = []
  const real = devices.filter((device) => device.source.sim === null)
  const pinnedReal = real.filter((device) =>
    trackers.some(
      ({ covers, everyPage, kind }) => kind === 'pinned' && !everyPage && covers.includes(device.name),
    ),
  )
  if (pinnedReal.length > 0) {
    notes.push(
      `how many pages ${listed(pinnedReal.map((device) => device.name))} will keep pinned is not known before the run; ` +
        'they are dirty in every round (`ferry dirty-log` measures it)',
    )
  }
  if (real.length > 0) {
    notes.push(
      `how long ${listed(real.map((device) => device.name))} will take for state changes is not known before the run`,
    )
  }
  if (stateBytes === null) notes.push('the size of the device state could not be asked of every device')
  return notes
}

function* rateNote(
  profile: Profile,
  floorBytes: bigint,
  stateBytes: bigint | null,
  fixedUs: number,
): Generator<PlanFinding, string> {
  const limitUs = profile.migration.downtimeLimitMs * 1000
  const limit = duration(limitUs)
  if (fixedUs >= limitUs) {
    yield warn(
      'plan/downtime-tight',
      { side: 'profile' },
      `the devices' own transitions take ${duration(fixedUs)}, the downtime limit is ${limit}`,
      'raise downtimeLimit, or expect the run to end without a cutover (exit 7)',
    )
    return `the devices' own transitions (${duration(fixedUs)}) use all of the downtime limit of ${limit}`
  }
  const must = floorBytes + (stateBytes ?? 0n)
  const rate = (must * 1_000_000n) / BigInt(Math.max(1, Math.round(limitUs - fixedUs)))
  return must === 0n
    ? `the downtime limit of ${limit} leaves ${duration(limitUs - fixedUs)} for the last dirty pages` +
        (stateBytes === null ? ' and the device state' : '')
    : `the blackout sends ${stateBytes === null ? 'more than ' : ''}${plainSize(must)} and whatever is dirty then: ` +
        `the limit of ${limit} needs more than ${plainSize(rate)}/s`
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
