import type { Inventory } from '../inventory/inventory.js'
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { Draft } from './containers.js'
import { isEmulated, memoryBytes } from './device.js'
import { block, warn, type Check } from './findings.js'
import type { PlanContainer } from './plan.js'
import { plainSize, plural, listed } from '../units.js'

interface Side {
  readonly role: Role
  readonly inventory: Inventory
}

/** Limits of the hosts: privileges, locked memory, free memory, page sizes, kernels. */
export function* checkHosts(
  profile: Profile,
  source: Inventory,
  destination: Inventory | null,
  drafts: readonly Draft[],
  containers: readonly PlanContainer[],
): Check {
  const sides: Side[] = [{ role: 'source', inventory: source }]
  if (destination !== null) sides.push({ role: 'destination', inventory: destination })
  const real = drafts.some((draft) => draft.device.source.sim === null)
  for (const side of sides) {
    yield* checkRoot(side, drafts)
    if (isHeld(side.role, profile)) continue
    yield* checkMemlock(side, profile, drafts, containers)
    yield* checkHugePages(side, profile)
    yield* checkTruncatable(side.role, profile)
  }
  yield* checkMemory(sides, profile)
  if (
    isHeld('source', profile) &&
    profile.handOut !== null &&
    profile.trackers.process === null &&
    profile.migration.verify !== 'full'
  ) {
    yield warn(
      'plan/cpu-writes',
      { side: 'source' },
      'the holder hands the memory to another process (handOut); trackers see the writes of devices, not those of a CPU',
      'track it with `trackers.process`, or stop it before the move; `verify: full` finds a lost write before the commit',
    )
  }
  if (destination !== null && profile.transport.insecure !== null) {
    yield warn(
      'plan/no-integrity',
      { side: 'both' },
      `data in the clear, integrity: none (insecure: ${profile.transport.insecure})`,
      'remove `transport.insecure` to encrypt it; who can insert bytes can write the memory of the workload',
    )
  }
  yield* checkPageSizes(sides, profile)
  if (destination !== null && real && source.host.kernel !== destination.host.kernel) {
    yield warn(
      'plan/kernel-differs',
      { side: 'both' },
      `the source runs Linux ${source.host.kernel}, the destination ${destination.host.kernel}`,
      'drivers may change their state format between releases; a load that fails is rolled back',
    )
  }
}

/** Of a file alone: a memfd of ferry's is sealed. */
function* checkTruncatable(side: Role, profile: Profile): Check {
  const open = profile.memory.filter((region) => region.othersMayTruncate && region[side].kind === 'file')
  if (open.length === 0) return
  yield warn(
    'plan/truncatable',
    { side },
    `another user may shorten or replace the file behind ${listed(open.map(({ name }) => name))} (othersMayTruncate): the run then ends with memory/gone, and what was cut off is lost to the workload`,
    'chown and chmod the file and its folder so that only root or the helper’s user may write them, and remove `othersMayTruncate`',
  )
}

function devicesOf(side: Side, drafts: readonly Draft[]) {
  return drafts.flatMap((draft) => {
    const planned = side.role === 'source' ? draft.device.source : draft.device.destination
    return planned === null || planned.sim !== null ? [] : [planned]
  })
}

function* checkRoot(side: Side, drafts: readonly Draft[]): Check {
  const { host } = side.inventory
  const unopened = devicesOf(side, drafts).filter(
    (planned) => planned.device !== null && !planned.device.probe.done,
  )
  if (host.uid === 0 || unopened.length === 0) return
  yield block(
    'host/not-root',
    { side: side.role },
    `the helper on ${host.hostname} runs as uid ${host.uid} and could not open ${listed(unopened.map((planned) => planned.id))}`,
    'run ferry as root there (remote hosts: ssh to root, or to a user who owns the device nodes)',
  )
}

/**
 * Mapping a physical group pins all of the memory, once per container: type1 charges each container to the process,
 * iommufd charges the user. Emulated groups pin what their drivers ask for, at most all of it.
 */
function* checkMemlock(
  side: Side,
  profile: Profile,
  drafts: readonly Draft[],
  containers: readonly PlanContainer[],
): Check {
  const { host } = side.inventory
  if (host.memlockBytes === null) return
  const limit = BigInt(host.memlockBytes)
  const memory = memoryBytes(profile)
  const real = containers.filter((container) => container.side === side.role && container.backend !== 'sim')
  const isPhysical = (name: string): boolean => {
    const device = drafts.find((draft) => draft.device.name === name)?.device
    const planned = side.role === 'source' ? device?.source : device?.destination
    return planned ? !isEmulated(planned) : false
  }
  const pinning = real.filter((container) => container.devices.some(isPhysical))
  const need = memory * BigInt(pinning.length)
  const remedy = `raise it on ${host.hostname} (ulimit -l, LimitMEMLOCK= in systemd), or run as root with CAP_IPC_LOCK`
  if (need > limit) {
    yield block(
      'host/memlock',
      { side: side.role },
      `mapping pins ${plainSize(need)} (${plainSize(memory)} in ${plural(pinning.length, 'container')} with ` +
        `physical groups), but RLIMIT_MEMLOCK is ${plainSize(limit)}`,
      remedy,
    )
  } else if (real.length > pinning.length && need + memory > limit) {
    yield warn(
      'host/memlock',
      { side: side.role },
      `mdevs may pin up to ${plainSize(memory)}${need > 0n ? ` beside the ${plainSize(need)} of the functions` : ''}, ` +
        `but RLIMIT_MEMLOCK is ${plainSize(limit)}; how much their drivers pin cannot be seen`,
      remedy,
    )
  }
}

/** A holder has its memory already, and pinned it. */
function isHeld(role: Role, profile: Profile): boolean {
  return role === 'source' && profile.source.from === 'holder'
}

/** Ordinary memory each side allocates for the workload: memfd regions without huge pages. */
function* checkMemory(sides: readonly Side[], profile: Profile): Check {
  const need = (role: Role): bigint =>
    profile.memory.reduce((sum, region) => {
      if (isHeld(role, profile)) return sum
      const backing = region[role]
      return backing.kind === 'memfd' && backing.hugePageBytes === null ? sum + region.bytes : sum
    }, 0n)
  const shared = sides.length === 2 && profile.source.host === profile.destination.host
  if (shared) {
    const both = need('source') + need('destination')
    const available = sides
      .map((side) => BigInt(side.inventory.host.memoryAvailableBytes))
      .reduce((least, value) => (value < least ? value : least))
    if (both > available) {
      yield block(
        'host/memory',
        { side: 'both' },
        `source and destination are one host and need ${plainSize(both)} together, but ${plainSize(available)} are available`,
        'free memory there, or use another host or a smaller workload',
      )
    }
    return
  }
  for (const { role, inventory } of sides) {
    const available = BigInt(inventory.host.memoryAvailableBytes)
    if (need(role) <= available) continue
    yield block(
      'host/memory',
      { side: role },
      `${inventory.host.hostname} needs ${plainSize(need(role))} for the workload, but ${plainSize(available)} are available`,
      'free memory there, or use another host or a smaller workload',
    )
  }
}

function* checkHugePages(side: Side, profile: Profile): Check {
  const huge = profile.memory.filter((region) => {
    const backing = region[side.role]
    return backing.kind === 'memfd' && backing.hugePageBytes !== null
  })
  if (huge.length === 0) return
  const bytes = huge.reduce((sum, region) => sum + region.bytes, 0n)
  yield warn(
    'host/huge-pages',
    { side: side.role },
    `${listed(huge.map((region) => region.name))} want ${plainSize(bytes)} of huge pages; the free pool was not seen`,
    `see /sys/kernel/mm/hugepages/*/free_hugepages on ${side.inventory.host.hostname}`,
  )
}

function* checkPageSizes(sides: readonly Side[], profile: Profile): Check {
  const sizes = sides.map((side) => side.inventory.host.pageSize)
  const largest = BigInt(Math.max(...sizes))
  const crooked = profile.memory.filter(
    (region) => region.iova % largest !== 0n || region.bytes % largest !== 0n,
  )
  if (crooked.length > 0) {
    yield block(
      'plan/page-size',
      { side: 'profile' },
      `${listed(crooked.map((region) => region.name))} ${crooked.length > 1 ? 'are' : 'is'} not aligned to pages of ` +
        plainSize(largest),
      `make iova and size multiples of ${plainSize(largest)}`,
    )
  } else if (new Set(sizes).size > 1) {
    yield warn(
      'plan/page-size',
      { side: 'both' },
      `page sizes differ: ${sides.map((side) => `${side.role} ${plainSize(BigInt(side.inventory.host.pageSize))}`).join(', ')}`,
      'the plan tracks at the smaller one; check that the devices’ drivers do not depend on it',
    )
  }
}
