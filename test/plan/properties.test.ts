import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRefusal } from '../../src/inventory/reasons.js'
import type { DeviceFacts, TrackerFacts } from '../../src/protocol/protocol.js'
import { mlx5Vf, mtty } from '../inventory/fixtures.js'
import { plan } from './hosts.js'
import { profile, realDevice, simDevice } from './profiles.js'

const maybe = fc.constantFrom(true, false, null)
const wishes = fc.record({
  backend: fc.constantFrom('auto', 'auto', 'type1', 'iommufd') as fc.Arbitrary<'auto' | 'type1' | 'iommufd'>,
  tracker: fc.constantFrom('auto', 'auto', 'pinned', 'device', 'iommu', 'all') as fc.Arbitrary<
    'auto' | 'pinned' | 'device' | 'iommu' | 'all'
  >,
  container: fc.constantFrom(null, null, null, 'one', 'two'),
})

/** Real and simulated devices with all sorts of groups, nodes, trackers and wishes. */
const device = fc.record({
  kind: fc.constantFrom('mdev', 'function') as fc.Arbitrary<'mdev' | 'function'>,
  simulated: fc.boolean(),
  emulatedGroup: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.boolean()),
  members: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, fc.constant(2)),
  sharedGroup: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.boolean()),
  node: fc.boolean(),
  cdev: fc.boolean(),
  log: maybe,
  iommu: maybe,
  pinned: maybe,
  migrates: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  p2p: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  wishes,
})
const setting = fc.record({
  devices: fc.array(device, { minLength: 1, maxLength: 5 }),
  prefer: fc.constantFrom('device', 'iommu') as fc.Arbitrary<'device' | 'iommu'>,
  forbidAll: fc.boolean(),
  mixedContainers: fc.constantFrom('refuse', 'refuse', 'allow') as fc.Arbitrary<'refuse' | 'allow'>,
  type1: maybe,
  iommufd: maybe,
  uid: fc.constantFrom(0, 1000),
  memlock: fc.constantFrom(null, '4096', String(1n << 40n)),
})
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never

function build(made: Setting) {
  const facts: DeviceFacts[] = []
  const devices = made.devices.map((entry, index) => {
    const name = `dev-${index}`
    if (entry.simulated) {
      const trackers = [
        ...(entry.pinned ? (['pinned'] as const) : []),
        ...(entry.log ? (['device'] as const) : []),
        ...(entry.iommu ? (['iommu'] as const) : []),
      ]
      const flags = entry.p2p ? (['stop-copy', 'p2p', 'pre-copy'] as const) : (['stop-copy'] as const)
      return simDevice(
        name,
        { model: entry.kind, trackers, flags },
        { ...entry.wishes, backend: entry.wishes.backend === 'auto' ? 'auto' : 'sim' },
      )
    }
    const ids = [`0000:0${index}:00.0`, `0000:1${index}:00.0`]
    for (const [side, id] of ids.entries()) {
      const base = entry.kind === 'mdev' ? mtty(id) : mlx5Vf(id)
      const group = entry.sharedGroup ? `shared-${side}` : `${index}-${side}`
      const trackers: TrackerFacts[] = [
        { kind: 'pinned', available: entry.pinned },
        { kind: 'device', available: entry.log },
        { kind: 'iommu', available: entry.iommu },
      ]
      const emulated = entry.emulatedGroup ?? entry.kind === 'mdev'
      facts.push({
        ...base,
        group: {
          ...base.group!,
          id: group,
          node: entry.node ? `/dev/vfio/${group}` : null,
          iommu: emulated ? 'emulated' : 'physical',
          members: Array.from({ length: entry.members }, (_, at) => ({
            id: at === 0 ? id : `${id}-${at}`,
            driver: base.driver,
            blocksGroup: false,
          })),
        },
        cdev: entry.cdev ? { name: `vfio${index}`, node: `/dev/vfio/devices/vfio${index}` } : null,
        migration: {
          supported: entry.migrates,
          flags: entry.p2p ? ['stop-copy', 'p2p', 'pre-copy'] : ['stop-copy'],
          state: 'RUNNING',
          stateBytes: '96',
        },
        trackers,
      })
    }
    return realDevice(name, entry.kind, ids[0]!, ids[1]!, entry.wishes)
  })
  const over = { type1: made.type1, iommufd: made.iommufd, uid: made.uid, memlockBytes: made.memlock }
  const { forbidAll, mixedContainers, prefer } = made
  const given = profile(devices, {
    trackers: { prefer, forbidAll, mixedContainers, iommuHugePages: 'split', process: null },
  })
  return { given, made: plan(given, facts, facts, { source: over, destination: over }) }
}
/** The group kind of a plan's device, from the plan's own inventory. */
function groupOf(of: ReturnType<typeof build>, name: string, side: 'source' | 'destination' = 'source') {
  const entry = of.given.devices.find((one) => one.name === name)!
  if (entry[side].kind === 'sim') return { emulated: entry[side].sim.model === 'mdev', members: 1 }
  const id = of.made.pairs.find((pair) => pair.device === name)![side]
  const group = of.made.inventories[side].devices.find((one) => one.id === id)!.group!
  return { emulated: group.iommu === 'emulated', members: group.members.length }
}
const check = (property: (built: ReturnType<typeof build>) => void) =>
  fc.assert(
    fc.property(setting, (made) => property(build(made))),
    { numRuns: 400 },
  )

/** All devices asked into one type1 or simulated container, as `mixedContainers: allow` is for. */
const checkShared = (property: (built: ReturnType<typeof build>) => void) =>
  fc.assert(
    fc.property(setting, fc.boolean(), (made, simulated) => {
      const backend: 'auto' | 'type1' = simulated ? 'auto' : 'type1'
      // Kinds alternate, and every other device leaves its tracker to the planner: most of these can run.
      const devices = made.devices.map((entry, index) => ({
        ...entry,
        kind: index % 2 === 0 ? ('mdev' as const) : ('function' as const),
        simulated,
        pinned: true,
        node: true,
        members: 1 as const,
        sharedGroup: false,
        migrates: true,
        p2p: true,
        emulatedGroup: null,
        wishes: {
          backend,
          container: 'one' as const,
          tracker: index % 4 < 2 ? ('auto' as const) : entry.wishes.tracker,
        },
      }))
      const root = { uid: 0, memlock: null, type1: true } as const
      property(build({ ...made, ...root, devices, mixedContainers: 'allow' }))
    }),
    { numRuns: 400 },
  )

describe('whatever the devices', () => {
  it('no plan that can run has emulated and physical groups in one type1 container, unless the profile allows it', () => {
    check((built) => {
      if (built.made.steps.length === 0) return
      for (const { backend, devices, mixed, side } of built.made.containers) {
        if (backend === 'iommufd') continue
        const kinds = new Set(devices.map((name) => groupOf(built, name, side).emulated)).size
        expect(mixed).toBe(kinds > 1)
        if (built.given.trackers.mixedContainers === 'refuse') expect(kinds).toBe(1)
      }
    })
  })
  it('what is mixed on purpose is said: in a warning, by the tracker, in the floor; and never under forbidAll', () => {
    let mixtures = 0
    checkShared((built) => {
      if (built.made.steps.length === 0) return
      for (const { container, devices, mixed, side } of built.made.containers) {
        if (!mixed || side !== 'source') continue
        const pinned = built.made.trackers.filter(
          (tracker) => tracker.kind === 'pinned' && tracker.container === container,
        )
        expect(built.made.warnings.map(({ code }) => code)).toContain('plan/mixed-container')
        for (const tracker of pinned) {
          mixtures += 1
          expect(tracker.everyPage).toBe(true)
          expect(devices).toEqual(expect.arrayContaining([...tracker.covers]))
          expect(built.given.trackers.forbidAll).toBe(false)
          expect(built.made.forecast.floorBytes).toBe(built.made.forecast.memoryBytes)
        }
      }
    })
    expect(mixtures).toBeGreaterThan(20)
  })
  it('automatic containers never mix, blocked or not', () => {
    check((built) => {
      const named = new Set(built.given.devices.map((entry) => entry.container))
      for (const { container, devices, side } of built.made.containers) {
        if (named.has(container)) continue
        expect(new Set(devices.map((name) => groupOf(built, name, side).emulated)).size).toBe(1)
      }
    })
  })
  it('every device of a plan that can run is covered by a tracker, opened, and mapped on both sides', () => {
    check(({ given, made }) => {
      if (made.blockers.length > 0) return
      for (const { name } of given.devices) {
        expect(made.trackers.filter((tracker) => tracker.covers.includes(name))).toHaveLength(1)
        for (const side of ['source', 'destination'] as const) {
          const opened = made.steps.findIndex(
            (step) => step.op === 'device' && step.side === side && step.params.device === name,
          )
          const home = made.containers.find((entry) => entry.side === side && entry.devices.includes(name))!
          const mapped = made.steps.findIndex(
            (step) => step.op === 'map' && step.side === side && step.params.container === home.container,
          )
          expect(opened).toBeGreaterThan(0)
          expect(mapped).toBeGreaterThan(opened)
        }
      }
      expect(made.steps.at(-1)!.op).toBe('track')
    })
  })
  it('a plan with blockers has nothing to run, and one without has', () => {
    check(({ made }) => {
      expect(made.steps.length > 0).toBe(made.blockers.length === 0)
    })
  })
  it('the pinned tracker covers emulated singleton groups in type1 or sim containers only', () => {
    check((built) => {
      for (const tracker of built.made.trackers.filter((entry) => entry.kind === 'pinned')) {
        const home = built.made.containers.find(
          (entry) => entry.side === 'source' && entry.container === tracker.container,
        )!
        const misnamed = built.made.blockers.some(({ code }) =>
          ['plan/container-backends', 'plan/mixed-container'].includes(code),
        )
        if (!misnamed) expect(['type1', 'sim']).toContain(home.backend)
        for (const name of tracker.covers) {
          expect(groupOf(built, name)).toEqual({ emulated: true, members: 1 })
        }
      }
    })
  })
  it('the iommu tracker stands in dirty-tracking containers of functions, and forbidAll is obeyed', () => {
    check((built) => {
      for (const tracker of built.made.trackers) {
        if (tracker.kind === 'all') expect(built.given.trackers.forbidAll).toBe(false)
        if (tracker.kind !== 'iommu') continue
        const home = built.made.containers.find(
          (entry) => entry.side === 'source' && entry.container === tracker.container,
        )!
        expect(home.dirtyTracking).toBe(true)
        for (const name of tracker.covers) expect(groupOf(built, name).emulated).toBe(false)
      }
    })
  })
  it('devices of one group are in one container', () => {
    check(({ made }) => {
      if (made.blockers.length > 0) return
      for (const side of ['source', 'destination'] as const) {
        const homes = new Map<string, Set<string>>()
        for (const pair of made.pairs) {
          const facts = made.inventories[side].devices.find((entry) => entry.id === pair[side])
          const home = made.containers.find(
            (entry) => entry.side === side && entry.devices.includes(pair.device),
          )!
          if (facts?.simulated !== false || facts.group === null) continue
          homes.set(facts.group.id, (homes.get(facts.group.id) ?? new Set()).add(home.container))
        }
        for (const containers of homes.values()) expect(containers.size).toBe(1)
      }
    })
  })
  it('a refusal of the inventory blocks the migration', () => {
    check(({ made }) => {
      const refused = made.inventories.source.devices.some((entry) => entry.reasons.some(isRefusal))
      if (refused) expect(made.blockers.length).toBeGreaterThan(0)
    })
  })
  it('some of these plans can run, so the properties above say something', () => {
    let runnable = 0
    check(({ made }) => {
      if (made.steps.length > 0) runnable += 1
    })
    expect(runnable).toBeGreaterThan(20)
  })
})
