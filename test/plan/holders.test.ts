import { describe, expect, it } from 'vitest'
import { mlx5Vf, VF_A, VF_B } from '../inventory/fixtures.js'
import { blockers, plan } from './hosts.js'
import { elsewhere, profile, realDevice, simDevice } from './profiles.js'

const both = [mlx5Vf(VF_A), mlx5Vf(VF_B)]
const rules = {
  prefer: 'iommu',
  forbidAll: false,
  mixedContainers: 'refuse',
  iommuHugePages: 'split',
  process: null,
} as const
const vf = realDevice('net', 'function', VF_A, VF_B)

/** The containers each side opens, and whether their page tables can track. */
const containers = (made: ReturnType<typeof plan>) =>
  made.containers.map(({ container, dirtyTracking, side }) => [side, container, dirtyTracking])

describe('a destination that becomes the holder', () => {
  const held = { ...elsewhere(), then: { kind: 'hold' } } as const

  it('opens the container it will be tracked by when it moves on', () => {
    const made = plan(profile([vf], { trackers: rules, destination: held }), both)
    expect(containers(made)).toEqual([
      ['source', 'iommufd-functions-dirty', true],
      ['destination', 'iommufd-functions-dirty', true],
    ])
    const closed = plan(
      profile([vf], { trackers: rules, destination: { ...held, then: { kind: 'close' } } }),
      both,
    )
    expect(containers(closed).at(-1)).toEqual(['destination', 'iommufd-functions', false])
  })

  it('is refused before anything is opened when its socket could not be reached', () => {
    const deep = `/var/lib/${'deep/'.repeat(20)}ferry`
    const over = { options: { stateDir: '/state', destinationStateDir: deep } }
    const made = plan(profile([simDevice('s')], { destination: held }), [], [], over)
    expect(blockers(made)).toEqual(['plan/socket-path'])
    expect(made.blockers[0]).toMatchObject({ side: 'destination', layer: 'host' })
    const closed = profile([simDevice('s')], { destination: { ...held, then: { kind: 'close' } } })
    expect(blockers(plan(closed, [], [], over))).toEqual([])
    const hold = { options: { stateDir: deep, purpose: 'hold' } } as const
    expect(blockers(plan(closed, [], [], hold))).toEqual(['plan/socket-path'])
  })
})

describe('a source that is held', () => {
  it('has its memory already', () => {
    const tight = { source: { memoryAvailableBytes: '4096', memlockBytes: '4096' } }
    const given = profile([simDevice('s')], { destination: elsewhere() })
    expect(blockers(plan(given, [], [], tight))).toEqual(['host/memory'])
    const held = { ...given, source: { ...given.source, from: 'holder' } } as const
    expect(blockers(plan(held, [], [], tight))).toEqual([])
  })

  it('warns of writes by a CPU where another process may have the memory, unless all of it is compared', () => {
    const given = profile([simDevice('s')], { destination: elsewhere() })
    const codes = (handOut: typeof given.handOut, verify: 'none' | 'full', from: 'open' | 'holder') =>
      plan(
        {
          ...given,
          handOut,
          migration: { ...given.migration, verify },
          source: { ...given.source, from },
        },
        [],
        [],
      ).warnings.map(({ code }) => code)
    const taker = { socket: '/run/x/x.sock', uid: 1000 }
    expect(codes(taker, 'none', 'holder')).toContain('plan/cpu-writes')
    for (const without of [
      codes(null, 'none', 'holder'),
      codes(taker, 'full', 'holder'),
      codes(taker, 'none', 'open'),
    ])
      expect(without).not.toContain('plan/cpu-writes')
    const tracked = plan(
      {
        ...given,
        handOut: taker,
        source: { ...given.source, from: 'holder' },
        trackers: { ...given.trackers, process: { method: 'auto', freeze: 'cgroup' } },
      },
      [],
      [],
    )
    expect(tracked.warnings.map(({ code }) => code)).not.toContain('plan/cpu-writes')
    expect(tracked.trackers.map(({ kind }) => kind)).toEqual(['pinned', 'process'])
    const track = tracked.steps.find(({ op }) => op === 'track')
    expect(track?.params).toMatchObject({
      trackers: [
        { kind: 'pinned' },
        { tracker: 'process', kind: 'process', process: { method: 'auto', freeze: 'cgroup' } },
      ],
    })
  })
})
