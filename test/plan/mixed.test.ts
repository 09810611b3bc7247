/** An emulated and a physical group in one container on purpose: `trackers: { mixedContainers: allow }`. */
import { describe, expect, it } from 'vitest'
import type { Profile } from '../../src/profile/profile.js'
import { mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { blockers, plan, warnings } from './hosts.js'
import { MIB, profile, realDevice, simDevice, type Wishes } from './profiles.js'

const both = [mtty(UUID_A), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B)]
const devices = (mdev: Wishes, vf: Wishes) => [
  realDevice('uart', 'mdev', UUID_A, UUID_B, mdev),
  realDevice('net', 'function', VF_A, VF_B, vf),
]
const allow = (over: Partial<Profile['trackers']> = {}): Partial<Profile> => ({
  trackers: {
    prefer: 'device',
    forbidAll: false,
    mixedContainers: 'allow',
    iommuHugePages: 'split',
    process: null,
    ...over,
  },
})
const one = { container: 'one' } as const

describe('mixedContainers: allow', () => {
  it('turns the blocker into a warning on the source that says what it costs', () => {
    const named = { ...one, backend: 'type1' } as const
    expect(blockers(plan(profile(devices(named, named)), both))).toContain('plan/mixed-container')
    const made = plan(profile(devices(named, named), allow()), both)
    expect(blockers(made)).toEqual([])
    const warned = made.warnings.filter(({ code }) => code === 'plan/mixed-container')
    expect(warned.map(({ side }) => side)).toEqual(['source'])
    expect(warned[0]!.found).toContain('uart (emulated) and net (physical)')
    expect(warned[0]!.found).toContain('all 512 MiB are sent again in every round')
  })

  it('opens both through type1 without being told to: nothing else takes both', () => {
    const made = plan(profile(devices(one, one), allow()), both)
    expect(blockers(made)).toEqual([])
    expect(made.pairs.map(({ backend }) => backend)).toEqual(['type1', 'type1'])
    expect(made.containers).toMatchObject([
      { side: 'source', container: 'one', backend: 'type1', mixed: true, devices: ['uart', 'net'] },
      { side: 'destination', container: 'one', backend: 'type1', mixed: true },
    ])
    const opened = made.steps.filter((step) => step.op === 'container')
    expect(opened.map(({ params }) => params)).toEqual(
      Array(2).fill({ container: 'one', backend: 'type1', dirtyTracking: false, mixed: true }),
    )
  })

  it('keeps the mdev on pinned, which is said to report everything; the function keeps its own', () => {
    const made = plan(profile(devices(one, one), allow()), both)
    const [uart, net] = made.choices
    expect(uart).toMatchObject({ kind: 'pinned', tracker: 'pinned:one', container: 'one' })
    expect(uart!.reason).toContain('reports every page in every round')
    expect(uart!.brief).toContain('every page in every round')
    expect(uart!.cost).toMatchObject({ granularity: 'every-page', unitBytes: 512n * MIB })
    expect(uart!.partition).toContain('emulated and physical groups together')
    expect(net).toMatchObject({ kind: 'device', cost: { granularity: 'log-unit' } })
    expect(made.trackers.map(({ everyPage, tracker }) => [tracker, everyPage])).toEqual([
      ['pinned:one', true],
      ['device:net', false],
    ])
    expect(made.forecast.floorBytes).toBe(512n * MIB)
    expect(made.forecast.notes.join('\n')).toContain('pinned:one reports every page of its mixed container')
    expect(made.forecast.notes.join('\n')).not.toContain('will keep pinned is not known')
  })

  it('changes nothing for devices that share no container', () => {
    const named = {
      prefer: 'device',
      forbidAll: false,
      mixedContainers: 'refuse',
      iommuHugePages: 'split',
      process: null,
    } as const
    const given = profile(devices({}, { backend: 'type1' }))
    const made = plan(
      { ...given, trackers: { ...named, mixedContainers: 'allow', iommuHugePages: 'split', process: null } },
      both,
    )
    expect({ ...made, profile: '' }).toEqual({ ...plan(given, both), profile: '' })
    expect(made.containers.every(({ mixed }) => !mixed)).toBe(true)
    expect(made.steps.some((step) => step.op === 'container' && 'mixed' in step.params)).toBe(false)
  })

  it('does not outvote forbidAll: every page in every round is what that forbids', () => {
    const made = plan(profile(devices(one, one), allow({ forbidAll: true })), both)
    expect(blockers(made)).toEqual(['plan/all-forbidden'])
    expect(made.blockers[0]).toMatchObject({ device: 'uart', side: 'source' })
    expect(made.blockers[0]!.found).toContain('holds physical groups, too')
    // With its own log the mdev does not depend on the container.
    const logged = devices({ ...one, tracker: 'device' }, one)
    expect(blockers(plan(profile(logged, allow({ forbidAll: true })), both))).toEqual([])
  })

  it('cannot make a dirty-tracking page table take an mdev, nor unlike backends one', () => {
    const iommufd = { ...one, backend: 'iommufd' } as const
    const tracked = devices(iommufd, { ...iommufd, tracker: 'iommu' })
    expect(blockers(plan(profile(tracked, allow()), both))).toEqual(['plan/mixed-container'])
    const apart = devices({ ...one, backend: 'type1' }, { ...one, backend: 'iommufd' })
    expect(new Set(blockers(plan(profile(apart, allow()), both)))).toEqual(
      new Set(['plan/container-backends']),
    )
  })

  it('iommufd holds both without it, and no tracker there depends on the container', () => {
    const iommufd = { ...one, backend: 'iommufd' } as const
    const made = plan(profile(devices(iommufd, iommufd)), both)
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).not.toContain('plan/mixed-container')
    expect(made.containers[0]).toMatchObject({ mixed: false })
    expect(made.containers[0]!.reason).toContain('mdevs and functions together')
  })

  it('works for simulated devices, whose container keeps the same rule', () => {
    const sims = [simDevice('a', { model: 'mdev' }, one), simDevice('b', { model: 'function' }, one)]
    const made = plan(profile(sims, allow()))
    expect(blockers(made)).toEqual([])
    expect(made.containers[0]).toMatchObject({ backend: 'sim', mixed: true })
    expect(made.forecast.floorBytes).toBe(512n * MIB)
  })
})
