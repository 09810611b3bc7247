import { busyReason } from '../inventory/eligibility.js'
import { isRefusal } from '../inventory/reasons.js'
import { sameDriver, pciId } from '../inventory/variant-drivers.js'
import type { Inventory } from '../inventory/inventory.js'
import { didYouMean } from '../did-you-mean.js'
import type { Profile } from '../profile/profile.js'
import { flagsOf, groupOf, stateBytesOf, type PlannedDevice, type PlannedSide } from './device.js'
import { block, fromReason, warn, type Check } from './findings.js'
import { plainSize, listed } from '../units.js'

/**
 * What a plan is for. Measuring (pin, dirty-log) opens, maps and tracks devices, holding only keeps them open: neither
 * saves their state, so neither needs a destination or a driver that migrates.
 */
export type Purpose = 'migrate' | 'measure' | 'hold'

/** Existence and eligibility of one device on one side. */
export function* checkSide(
  device: Pick<PlannedDevice, 'name'>,
  side: PlannedSide,
  inventory: Inventory,
  purpose: Purpose,
): Check {
  const place = { side: side.role, device: device.name }
  if (side.device === null) {
    const others = inventory.devices.filter((entry) => !entry.simulated && entry.kind === side.kind)
    const near = didYouMean(
      side.id,
      others.map((entry) => entry.id),
    )
    yield block(
      'plan/no-such-device',
      place,
      `${inventory.host.hostname} has no ${side.kind} ${side.id}`,
      near !== undefined
        ? `did you mean ${near}?`
        : others.length > 0 && others.length <= 6
          ? `it has ${listed(others.map((entry) => entry.id))}; correct the profile`
          : side.kind === 'mdev'
            ? 'create the mdev (write its UUID to a type’s create file), or correct the profile'
            : 'run `ferry devices --all` on that host and correct the profile',
    )
    return
  }
  if (side.sim === null && side.device.sysfsPath === null) {
    yield block(
      'plan/no-such-device',
      place,
      `${side.id} was listed without its place in sysfs, so it cannot be opened`,
      'the device may be about to disappear: check with `ferry devices`',
    )
  }
  for (const reason of side.device.reasons) {
    const refused =
      (isRefusal(reason) && !(purpose !== 'migrate' && reason.layer === 'migration')) ||
      // Ferry opens devices itself, and VFIO lets a group or cdev be opened once.
      reason.code === 'busy'
    yield fromReason(refused ? 'block' : 'warn', reason, place)
  }
  if (side.device.probe.heldBy !== undefined && side.device.probe.done) {
    yield fromReason('block', busyReason(side.device.probe), place)
  }
  const state = side.device.migration?.state ?? null
  if (side.role === 'source' && state !== null && state !== 'RUNNING' && state !== 'ERROR') {
    yield warn(
      'plan/not-running',
      place,
      `${side.id} is in state ${state} before the run`,
      'check whether another process has it; ferry brings it to RUNNING by the legal path when it opens it',
    )
  }
}

/** Whether the destination device can take what the source device gives. */
export function* checkPair(device: PlannedDevice): Check {
  const { source, destination } = device
  if (destination === null) return
  const place = { side: 'both', device: device.name } as const
  if (source.kind !== destination.kind || (source.sim === null) !== (destination.sim === null)) {
    yield block(
      'plan/kind-differs',
      place,
      `the source is ${kindText(source)} and the destination ${kindText(destination)}`,
      'pair devices of one kind in the profile',
    )
    return
  }
  if (source.device === null || destination.device === null) return
  if (source.sim === null) yield* checkHardware(device)
  const [from, to] = [flagsOf(source), flagsOf(destination)]
  if (from !== null && to !== null) {
    const missing = from.filter((flag) => !to.includes(flag))
    if (missing.length > 0) {
      yield block(
        'plan/flags-differ',
        place,
        `the destination lacks ${listed(missing)}; the source has ${listed(from)}`,
        'bring driver and firmware of the destination to the level of the source',
      )
    }
  }
  const [bytes, loaded] = [stateBytesOf(source), stateBytesOf(destination)]
  if (bytes !== null && loaded !== null && bytes !== loaded) {
    yield warn(
      'plan/state-size-differs',
      place,
      `the source's state is ${plainSize(bytes)} now, the destination's ${plainSize(loaded)}`,
      'expected for some drivers; if the load fails for it, ferry rolls back and the source goes on',
    )
  }
}

function* checkHardware(device: PlannedDevice): Check {
  const [from, to] = [device.source.device, device.destination?.device ?? null]
  if (from === null || to === null) return
  const place = { side: 'both', device: device.name } as const
  if (from.kind === 'function' && (from.vendor !== null || to.vendor !== null) && pciId(from) !== pciId(to)) {
    yield block(
      'plan/device-differs',
      place,
      `the source is ${pciId(from)}, the destination ${pciId(to)}`,
      'choose a destination function of the same vendor and device id',
    )
  }
  if (from.driver !== null && to.driver !== null && !sameDriver(from.driver, to.driver)) {
    yield block(
      'plan/driver-differs',
      place,
      `the source is bound to ${from.driver}, the destination to ${to.driver}`,
      'bind both devices to the same migration driver',
    )
  }
  // Only a warning: which types are compatible is the driver's knowledge, and it says so when it loads the state.
  if (
    from.kind === 'mdev' &&
    from.mdevType !== null &&
    to.mdevType !== null &&
    from.mdevType !== to.mdevType
  ) {
    yield warn(
      'plan/type-differs',
      place,
      `the source is of type ${from.mdevType}, the destination of type ${to.mdevType}`,
      `create the destination as ${from.mdevType}; otherwise the load is likely to fail and to be rolled back`,
    )
  }
}

/** Devices named twice on one host, within a side or across the two. */
export function* checkUniqueness(devices: readonly PlannedDevice[], profile: Profile): Check {
  const sameHost = profile.source.host === profile.destination.host
  const users = new Map<string, { readonly id: string; readonly uses: string[] }>()
  for (const device of devices) {
    for (const side of [device.source, device.destination]) {
      if (side === null || side.sim !== null) continue
      const key = `${sameHost ? 'host' : side.role} ${side.id.toLowerCase()}`
      const entry = users.get(key) ?? { id: side.id, uses: [] }
      entry.uses.push(`${side.role} of ${device.name}`)
      users.set(key, entry)
    }
  }
  for (const { id, uses } of users.values()) {
    if (uses.length < 2) continue
    yield block(
      'plan/same-device',
      { side: 'profile' },
      `${id} is ${listed(uses)}`,
      'give every device of the workload its own source and its own destination device',
    )
  }
}

/**
 * A group is opened by one process: over one host, source and destination helper cannot each have a device of it.
 * Checked for real devices only; simulated ones have no groups.
 */
export function* checkSharedGroups(devices: readonly PlannedDevice[], profile: Profile): Check {
  if (profile.source.host !== profile.destination.host) return
  const users = (role: 'source' | 'destination') =>
    devices.flatMap((device) => {
      const side = device[role]
      const group = side === null ? null : groupOf(side)
      return side === null || group === null ? [] : [{ group, id: side.id }]
    })
  const sources = users('source')
  for (const { group, id } of users('destination')) {
    const other = sources.find((source) => source.group === group && source.id !== id)
    if (other === undefined) continue
    yield block(
      'plan/group-shared',
      { side: 'both' },
      `${other.id} (source) and ${id} (destination) are in IOMMU group ${group} of one host`,
      'choose a destination device of another group: only one process can open a group',
    )
  }
}

/** Peers can write to each other until all of them are quiet, so without P2P a device moves only alone. */
export function* checkP2p(devices: readonly PlannedDevice[]): Check {
  if (devices.length < 2) return
  for (const device of devices) {
    for (const side of [device.source, device.destination]) {
      const flags = side === null ? null : flagsOf(side)
      if (side === null || side.device === null) continue
      const place = { side: side.role, device: device.name }
      if (flags !== null && !flags.includes('p2p')) {
        yield block(
          'plan/p2p-required',
          place,
          `${side.id} has no P2P state, and ${devices.length} devices are to move together`,
          'move this device in a profile of its own, or use a driver with P2P',
        )
      } else if (flags === null && side.device.migratable === null) {
        yield warn(
          'plan/unseen',
          place,
          `whether ${side.id} has the P2P state that several devices need could not be seen`,
          'run as root, with the device not in use',
        )
      }
    }
  }
}

function kindText(side: PlannedSide): string {
  return side.sim === null ? `a real ${side.kind}` : `a simulated ${side.kind}`
}
