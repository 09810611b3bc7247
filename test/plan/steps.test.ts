import { describe, expect, it } from 'vitest'
import { makePlan } from '../../src/plan/make-plan.js'
import { fixedBlackout, unionBytes } from '../../src/plan/forecast.js'
import type { Step } from '../../src/plan/plan.js'
import { mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { inventory, plan, simFacts, warnings } from './hosts.js'
import { MIB, profile, realDevice, region, simDevice } from './profiles.js'

const quickstart = profile(
  [simDevice('vgpu-0', { model: 'mdev' }), simDevice('vf-0', { model: 'function' })],
  { memory: [region({ fill: { seed: 1, zeroPercent: 20 } })] },
)
const real = profile([realDevice('uart', 'mdev', UUID_A, UUID_B), realDevice('net', 'function', VF_A, VF_B)])
const both = [mtty(UUID_A), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B)]
const one = <K extends Step['op']>(steps: readonly Step[], op: K, side = 'source') =>
  steps.find((step): step is Extract<Step, { op: K }> => step.op === op && step.side === side)!

describe('steps', () => {
  it('claim, memory, containers, devices, maps per side; trackers last, on the source', () => {
    const { steps } = plan(quickstart)
    expect(steps.map((step) => `${step.side} ${step.op}`)).toEqual([
      'source claim',
      'destination claim',
      ...['source', 'destination'].flatMap((side) =>
        ['memory', 'container', 'container', 'device', 'device', 'map', 'map'].map((op) => `${side} ${op}`),
      ),
      'source track',
    ])
    expect(steps.map((step) => step.phase)).toEqual([...Array(16).fill('pin'), 'dirty-log'])
  })
  it('undo what holds something', () => {
    const { steps } = plan(quickstart)
    for (const step of steps) {
      const undo = { claim: 'release', map: 'unmap', track: 'untrack' }[step.op as string]
      expect(step.undo?.op).toBe(undo)
      if (step.op === 'map') expect(step.undo!.params).toEqual(step.params)
    }
  })
  it('the source is filled, the destination populated', () => {
    const { steps } = plan(quickstart)
    expect(one(steps, 'memory').params).toEqual({
      pageSize: 4096,
      regions: [
        {
          region: 'ram',
          iova: '0x0',
          bytes: '536870912',
          backing: { kind: 'memfd' },
          populate: false,
          fill: { seed: 1, zeroPercent: 20 },
        },
      ],
    })
    const there = one(steps, 'memory', 'destination').params.regions[0]!
    expect(there.populate).toBe(true)
    // It fills nothing, but the checker must know what the memory began with.
    expect(there.fill).toEqual({ seed: 1, zeroPercent: 20 })
    expect(one(steps, 'memory').text).toBe('allocate and fill 512 MiB in 1 region')
  })
  it('both sides open the devices in the same order, though only the source keeps a dirty-tracking container', () => {
    const { containers, steps } = plan(
      profile([
        simDevice('a', { model: 'function', trackers: ['iommu'] }),
        simDevice('b', { model: 'mdev' }),
        simDevice('c', { model: 'function', trackers: ['device'] }),
        simDevice('d', { model: 'function', trackers: ['iommu'] }),
      ]),
    )
    expect(containers.filter(({ side }) => side === 'source')).toHaveLength(3)
    expect(containers.filter(({ side }) => side === 'destination')).toHaveLength(2)
    for (const side of ['source', 'destination']) {
      const opened = steps.flatMap((step) =>
        step.op === 'device' && step.side === side ? [step.params.device] : [],
      )
      expect(opened).toEqual(['a', 'b', 'c', 'd'])
    }
  })
  it('every device is opened in its container, and read back as it was declared', () => {
    const { steps } = plan(real, both)
    const devices = steps.filter((step) => step.op === 'device')
    expect(devices.map((step) => [step.side, step.params.device, step.params.container])).toEqual([
      ['source', 'uart', 'type1-mdevs'],
      ['source', 'net', 'iommufd-functions'],
      ['destination', 'uart', 'type1-mdevs'],
      ['destination', 'net', 'iommufd-functions'],
    ])
    expect(devices[3]!.params.target).toEqual({
      kind: 'kernel',
      sysfsPath: `/sys/devices/pci0000:3a/${VF_B}`,
    })
    expect(one(plan(quickstart).steps, 'device').params.target).toMatchObject({ kind: 'sim' })
  })
  it('trackers name their device or container', () => {
    expect(one(plan(quickstart).steps, 'track').params.trackers).toEqual([
      { tracker: 'pinned:sim-mdevs', kind: 'pinned', container: 'sim-mdevs' },
      { tracker: 'device:vf-0', kind: 'device', device: 'vf-0' },
    ])
  })
  it('real devices are claimed for the whole host when root, simulated ones within the state folder', () => {
    expect(one(plan(real, both).steps, 'claim').params).toEqual({
      role: 'source',
      lockDir: '/run/ferry/locks',
      recordDir: '/state/records',
      socket: '/state/sockets/{run}-source.sock',
      devices: [UUID_A, VF_A],
    })
    const user = plan(real, both, both, { source: { uid: 1000 } })
    expect(one(user.steps, 'claim').params.lockDir).toBe('/state/locks')
    expect(one(plan(quickstart).steps, 'claim').params.lockDir).toBe('/state/locks')
    expect(one(plan(quickstart).steps, 'claim').params.devices).toEqual(['vgpu-0.source', 'vf-0.source'])
    expect(one(plan(quickstart).steps, 'claim', 'destination').params.devices).toEqual([
      'vgpu-0.destination',
      'vf-0.destination',
    ])
  })
  it('are JSON as they stand: no bigint in any parameter', () => {
    const { steps } = plan(quickstart)
    expect(JSON.parse(JSON.stringify(steps))).toEqual(steps)
  })
  it('for the source alone when there is no destination', () => {
    const made = makePlan(quickstart, inventory(simFacts(quickstart, 'source')), null, {
      stateDir: '/state',
      purpose: 'measure',
    })
    expect(new Set(made.steps.map((step) => step.side))).toEqual(new Set(['source']))
    expect(made.steps.at(-1)!.op).toBe('track')
    expect(made.inventories.destination.devices).toEqual([])
    // Then, and only then, a device that cannot migrate will do.
    const opened = (steps: typeof made.steps) => steps.filter((step) => step.op === 'device')
    expect(opened(made.steps).every((step) => step.params.measure === true)).toBe(true)
    expect(opened(plan(quickstart).steps).some((step) => 'measure' in step.params)).toBe(false)
  })
})

describe('forecast', () => {
  it('the floor is the pinned windows, counted once where they overlap', () => {
    const made = plan(
      profile([
        simDevice('a', { window: { iova: 0n, bytes: 4n * MIB } }),
        simDevice('b', { window: { iova: 2n * MIB, bytes: 4n * MIB } }),
      ]),
    )
    expect(made.forecast).toMatchObject({
      memoryBytes: 512n * MIB,
      stateBytes: 16n * MIB,
      floorBytes: 6n * MIB,
    })
  })
  it('the floor is all memory under the tracker all', () => {
    const made = plan(profile([simDevice('a', { trackers: [] })]))
    expect(made.forecast.floorBytes).toBe(512n * MIB)
    expect(made.forecast.notes.join('\n')).toContain('pre-copy cannot shrink the blackout')
  })
  it('says what it cannot know of real devices', () => {
    const { forecast } = plan(real, both)
    expect(forecast.floorBytes).toBe(0n)
    expect(forecast.stateBytes).toBe(12n * MIB + 96n)
    expect(forecast.notes.join('\n')).toContain('how many pages uart will keep pinned is not known')
    const shy = [mtty(UUID_A, { migration: { ...mtty().migration!, stateBytes: null } }), ...both.slice(1)]
    expect(plan(real, shy).forecast.stateBytes).toBeNull()
  })
  it('transitions: the slowest device of each phase, the phases one after the other', () => {
    const latencyUs = { PRE_COPY_P2P: 100, STOP_COPY: 1000, STOP: 200, RUNNING_P2P: 30, RUNNING: 4 }
    const made = plan(
      profile([simDevice('a', { latencyUs }), simDevice('b', { latencyUs: { STOP_COPY: 5000 } })]),
    )
    expect(made.forecast.fixedBlackoutUs).toBe(100 + 5000 + 200 + 30 + 4)
  })
  it('without PRE_COPY the way leads through STOP, without P2P it is not visited', () => {
    const latencyUs = { RUNNING_P2P: 1, STOP: 10, STOP_COPY: 100, PRE_COPY_P2P: 7777, RUNNING: 1000 }
    const at = (flags: readonly ('stop-copy' | 'p2p' | 'pre-copy')[]) =>
      plan(profile([simDevice('a', { flags, latencyUs })])).forecast.fixedBlackoutUs
    expect(at(['stop-copy', 'p2p'])).toBe(1 + 10 + 100 + 10 + 1 + 1000)
    expect(at(['stop-copy'])).toBe(10 + 100 + 10 + 1000)
  })
  it('a slow state stream counts for what pre-copy cannot take', () => {
    const made = plan(profile([simDevice('a', { stateBytesPerSecond: 200n * MIB })]))
    expect(made.forecast.fixedBlackoutUs).toBe(10_000)
    expect(fixedBlackout([])).toBe(0)
  })
  it('a limit that transitions alone pass is said before the run', () => {
    const made = plan(profile([simDevice('a', { latencyUs: { STOP_COPY: 400_000 } })]))
    expect(warnings(made)).toEqual(['plan/downtime-tight'])
    expect(warnings(plan(profile([simDevice('a', { latencyUs: { STOP_COPY: 299_999 } })])))).toEqual([])
  })
  it('full verification is announced', () => {
    const made = plan({ ...quickstart, migration: { ...quickstart.migration, verify: 'full' } })
    expect(made.forecast.notes.join('\n')).toContain('verify: full hashes all 512 MiB')
  })
  it('ranges: union of touching, nested, empty and separate ones', () => {
    const range = (start: bigint, end: bigint) => ({ start, end })
    expect(unionBytes([range(0n, 4n), range(4n, 8n), range(1n, 2n), range(9n, 9n), range(20n, 21n)])).toBe(9n)
  })
})
