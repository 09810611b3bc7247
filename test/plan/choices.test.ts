import { describe, expect, it } from 'vitest'
import { mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { blockers, plan, warnings } from './hosts.js'
import { profile, realDevice, simDevice, type Wishes } from './profiles.js'

const vf = (wishes?: Wishes) => realDevice('net', 'function', VF_A, VF_B, wishes)
const mdev = (wishes?: Wishes) => realDevice('uart', 'mdev', UUID_A, UUID_B, wishes)
const both = [mtty(UUID_A), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B)]
const without = (...kinds: string[]) => ({
  trackers: mlx5Vf().trackers.map((entry) => ({ ...entry, available: !kinds.includes(entry.kind) })),
})
const trackerOf = (of: ReturnType<typeof plan>, device = 'net') =>
  of.trackers.find((tracker) => tracker.covers.includes(device))

describe('backend', () => {
  it('an mdev goes through type1, a function through iommufd', () => {
    const made = plan(profile([mdev(), vf()]), both)
    expect(blockers(made)).toEqual([])
    expect(made.pairs.map((pair) => pair.backend)).toEqual(['type1', 'iommufd'])
  })
  it('what the host lacks is not chosen', () => {
    expect(plan(profile([vf()]), both, both, { source: { iommufd: false } }).pairs[0]!.backend).toBe('type1')
    expect(plan(profile([mdev()]), both, both, { source: { type1: false } }).pairs[0]!.backend).toBe(
      'iommufd',
    )
  })
  it('a function without a cdev goes through type1', () => {
    const bare = [mlx5Vf(VF_A, { cdev: null }), mlx5Vf(VF_B)]
    const made = plan(profile([vf()]), bare)
    expect(made.containers.map((container) => container.backend)).toEqual(['type1', 'type1'])
  })
  it('the destination follows the source, and another one is a warning', () => {
    const made = plan(profile([vf()]), both, both, { destination: { iommufd: false } })
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).toContain('plan/backend-differs')
    expect(made.containers.map((container) => container.backend)).toEqual(['iommufd', 'type1'])
  })
  it('could not be seen: a warning', () => {
    expect(
      warnings(plan(profile([mdev()]), both, both, { source: { type1: null, iommufd: null } })),
    ).toContain('plan/unseen')
  })
  it('asked for and missing: refused, with the cause', () => {
    const made = plan(profile([vf({ backend: 'iommufd' })]), both, both, { source: { iommufd: false } })
    expect(blockers(made)).toEqual(['plan/backend-missing'])
    expect(made.blockers[0]!.found).toContain('/dev/iommu')
    expect(blockers(plan(profile([simDevice('s', {}, { backend: 'type1' })])))).toContain(
      'plan/backend-missing',
    )
  })
  it('a device that shares a named container adopts the backend its companion asks for', () => {
    const one = vf({ container: 'c', backend: 'type1' })
    const two = { ...realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3'), container: 'c' }
    const more = (id: string) => mlx5Vf(id, { group: { ...mlx5Vf().group!, id: `g${id}` } })
    const made = plan(profile([one, two]), [...both, more('0000:3b:00.3'), more('0000:5e:00.3')])
    expect(blockers(made)).toEqual([])
    expect(made.pairs.map((pair) => pair.backend)).toEqual(['type1', 'type1'])
  })
})

describe('tracker', () => {
  it('a function with a DMA log uses it, and says why not the others', () => {
    const tracker = trackerOf(plan(profile([vf()]), both))!
    expect(tracker).toMatchObject({ tracker: 'device:net', kind: 'device', container: null })
    expect(tracker.refused.map((refusal) => [refusal.kind, refusal.code])).toEqual([
      ['pinned', 'needs-emulated-group'],
      ['iommu', 'not-preferred'],
      ['all', 'less-precise'],
    ])
  })
  it('keeps huge entries of the page table when asked to, and says what one bit then stands for', () => {
    const rules = { prefer: 'iommu', forbidAll: false, mixedContainers: 'refuse' } as const
    const made = plan(
      profile([vf()], { trackers: { ...rules, iommuHugePages: 'keep', process: null } }),
      both,
    )
    const asked = made.steps.flatMap((step) => (step.op === 'container' ? [[step.side, step.params]] : []))
    expect(asked).toMatchObject([
      ['source', { dirtyTracking: true, hugePages: true }],
      ['destination', { dirtyTracking: false }],
    ])
    expect(made.choices[0]!.cost!.text).toContain('2 MiB')
  })
  it('without a DMA log: the IOMMU; under type1 or without both: all', () => {
    const noLog = [mlx5Vf(VF_A, without('device')), mlx5Vf(VF_B)]
    const made = plan(profile([vf()]), noLog)
    expect(trackerOf(made)?.kind).toBe('iommu')
    expect(made.containers[0]).toMatchObject({ container: 'iommufd-functions-dirty', dirtyTracking: true })
    expect(made.containers[1]).toMatchObject({ side: 'destination', dirtyTracking: false })
    const asked = made.steps.filter((step) => step.op === 'container').map((step) => step.params)
    expect(asked.every((params) => !('hugePages' in params))).toBe(true)
    expect(made.choices[0]!.cost).toMatchObject({ granularity: 'page-table-entry', unitBytes: 4096n })
    const old = plan(profile([vf()]), noLog, noLog, {
      source: { iommufd: false },
      destination: { iommufd: false },
    })
    expect(trackerOf(old)).toMatchObject({ kind: 'all', container: 'type1-functions' })
    expect(warnings(old)).toContain('plan/all-pages')
    expect(
      trackerOf(plan(profile([vf()]), [mlx5Vf(VF_A, without('device', 'iommu')), mlx5Vf(VF_B)]))?.kind,
    ).toBe('all')
  })
  it('the profile may prefer the IOMMU', () => {
    const made = plan(
      profile([vf()], {
        trackers: {
          prefer: 'iommu',
          forbidAll: false,
          mixedContainers: 'refuse',
          iommuHugePages: 'split',
          process: null,
        },
      }),
      both,
    )
    expect(trackerOf(made)?.kind).toBe('iommu')
  })
  it('an mdev under type1 uses the pinned scope, though it has a DMA log too', () => {
    const tracker = trackerOf(plan(profile([mdev()]), both), 'uart')!
    expect(tracker).toMatchObject({ tracker: 'pinned:type1-mdevs', kind: 'pinned', covers: ['uart'] })
    expect(tracker.refused.map((refusal) => refusal.code)).toEqual([
      'not-preferred',
      'not-for-mdev',
      'less-precise',
    ])
  })
  it('an mdev under iommufd has its DMA log or all; never the pinned scope', () => {
    const made = plan(profile([mdev({ backend: 'iommufd' })]), both)
    expect(trackerOf(made, 'uart')).toMatchObject({ kind: 'device' })
    expect(trackerOf(made, 'uart')!.reason).toContain('mtty accepts it but logs nothing')
    expect(trackerOf(made, 'uart')!.refused[0]).toMatchObject({ kind: 'pinned', code: 'needs-type1' })
    const noLog = [mtty(UUID_A, { trackers: [] }), mtty(UUID_B)]
    expect(trackerOf(plan(profile([mdev({ backend: 'iommufd' })]), noLog), 'uart')?.kind).toBe('device')
    const surely = [mtty(UUID_A, { trackers: [{ kind: 'device', available: false }] }), mtty(UUID_B)]
    expect(trackerOf(plan(profile([mdev({ backend: 'iommufd' })]), surely), 'uart')?.kind).toBe('all')
  })
  it('a tracker that could not be seen is planned with a warning', () => {
    const made = plan(profile([vf()]), [mlx5Vf(VF_A, { trackers: [] }), mlx5Vf(VF_B)])
    expect(trackerOf(made)?.kind).toBe('device')
    expect(warnings(made)).toContain('plan/unseen')
  })
  it('what surely works comes before what may work', () => {
    const trackers = [
      { kind: 'device', available: null },
      { kind: 'iommu', available: true },
    ] as const
    expect(trackerOf(plan(profile([vf()]), [mlx5Vf(VF_A, { trackers }), mlx5Vf(VF_B)]))?.kind).toBe('iommu')
  })
  it('the wish of the profile wins where it can be met', () => {
    const made = plan(profile([vf({ tracker: 'all' })]), both)
    expect(trackerOf(made)?.kind).toBe('all')
    expect(trackerOf(made)!.reason).toContain('the profile asks for it')
    expect(trackerOf(made)!.refused.find((refusal) => refusal.kind === 'device')?.reason).toContain(
      'would work',
    )
  })
  it('pinned for a physical function is refused', () => {
    const made = plan(profile([vf({ tracker: 'pinned', backend: 'type1' })]), both)
    expect(blockers(made)).toEqual(['plan/pinned-needs-emulated'])
    expect(made.blockers[0]).toMatchObject({ side: 'source', device: 'net' })
    expect(blockers(plan(profile([simDevice('s', { model: 'function' }, { tracker: 'pinned' })])))).toEqual([
      'plan/pinned-needs-emulated',
    ])
  })
  it('pinned under iommufd is refused', () => {
    expect(blockers(plan(profile([mdev({ tracker: 'pinned', backend: 'iommufd' })]), both))).toEqual([
      'plan/pinned-needs-type1',
    ])
  })
  it('a tracker that is not there is refused', () => {
    const bare = [mlx5Vf(VF_A, without('device', 'iommu')), mlx5Vf(VF_B)]
    expect(blockers(plan(profile([vf({ tracker: 'device' })]), bare))).toEqual(['plan/tracker-unavailable'])
    expect(blockers(plan(profile([simDevice('s', { trackers: [] }, { tracker: 'pinned' })])))).toEqual([
      'plan/tracker-unavailable',
    ])
  })
  it('all can be forbidden', () => {
    const forbid = {
      trackers: {
        prefer: 'device',
        forbidAll: true,
        mixedContainers: 'refuse',
        iommuHugePages: 'split',
        process: null,
      },
    } as const
    const bare = [mlx5Vf(VF_A, without('device', 'iommu')), mlx5Vf(VF_B)]
    expect(blockers(plan(profile([vf()], forbid), bare))).toEqual(['plan/all-forbidden'])
    expect(blockers(plan(profile([vf({ tracker: 'all' })], forbid), both))).toEqual(['plan/all-forbidden'])
    expect(blockers(plan(profile([vf()], forbid), both))).toEqual([])
  })
})

describe('containers', () => {
  it('mdevs and functions get a container each, and the plan says why', () => {
    const made = plan(profile([mdev(), vf({ backend: 'type1' })]), both)
    expect(blockers(made)).toEqual([])
    const source = made.containers.filter((container) => container.side === 'source')
    expect(source.map((container) => [container.container, container.devices])).toEqual([
      ['type1-mdevs', ['uart']],
      ['type1-functions', ['net']],
    ])
    expect(source[0]!.reason).toContain('every page dirty in every round')
  })
  it('one container named for both is refused, for type1 and for the simulator', () => {
    const named = { container: 'one', backend: 'type1' } as const
    const made = plan(profile([mdev(named), vf(named)]), both)
    expect(blockers(made)).toEqual(['plan/mixed-container', 'plan/mixed-container'])
    expect(made.blockers.map((blocker) => blocker.side)).toEqual(['source', 'destination'])
    expect(made.blockers[0]!.remedy).toContain('remove `container:`')
    const sims = [
      simDevice('a', { model: 'mdev' }, { container: 'one' }),
      simDevice('b', { model: 'function' }, { container: 'one' }),
    ]
    expect(blockers(plan(profile(sims)))).toContain('plan/mixed-container')
  })
  it('iommufd may hold both, unless it tracks dirty pages', () => {
    const named = { container: 'one', backend: 'iommufd' } as const
    expect(blockers(plan(profile([mdev(named), vf(named)]), both))).toEqual([])
    expect(blockers(plan(profile([mdev(named), vf({ ...named, tracker: 'iommu' })]), both))).toEqual([
      'plan/mixed-container',
    ])
  })
  it('unlike backends in one container are refused', () => {
    const sims = [simDevice('a', { model: 'function' }, { container: 'one' }), vf({ container: 'one' })]
    expect(blockers(plan(profile(sims), both))).toContain('plan/container-backends')
  })
  it('functions that track through the IOMMU stay apart from those that do not', () => {
    const two = realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3', { tracker: 'iommu' })
    const more = (id: string) => mlx5Vf(id, { group: { ...mlx5Vf().group!, id: `g${id}` } })
    const made = plan(profile([vf(), two]), [...both, more('0000:3b:00.3'), more('0000:5e:00.3')])
    expect(
      made.containers.filter((entry) => entry.side === 'source').map((entry) => entry.container),
    ).toEqual(['iommufd-functions', 'iommufd-functions-dirty'])
  })
  it('devices of one IOMMU group share a container; asked apart, they are refused', () => {
    const two = (wishes: Wishes) => realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3', wishes)
    const devices = [...both, mlx5Vf('0000:3b:00.3', { group: mlx5Vf(VF_A).group }), mlx5Vf('0000:5e:00.3')]
    const made = plan(profile([vf(), two({ tracker: 'iommu' })]), devices)
    expect(made.containers[0]).toMatchObject({
      container: 'iommufd-functions-dirty',
      devices: ['net', 'net2'],
    })
    expect(blockers(plan(profile([vf(), two({ backend: 'type1' })]), devices))).toContain('plan/group-split')
  })
  it('a dirty-tracking container refuses a device whose IOMMU cannot', () => {
    const two = realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3', {
      tracker: 'iommu',
      container: 'c',
    })
    const more = (id: string) => mlx5Vf(id, { group: { ...mlx5Vf().group!, id: `g${id}` } })
    const devices = [mlx5Vf(VF_A, without('iommu')), mlx5Vf(VF_B), more('0000:3b:00.3'), more('0000:5e:00.3')]
    expect(blockers(plan(profile([vf({ container: 'c' }), two]), devices))).toEqual(['plan/container-dirty'])
  })
})
