/** What a profile can say of trackers, in every combination with what devices and hosts have. */
import { describe, expect, it } from 'vitest'
import type { DeviceTracker } from '../../src/protocol/protocol.js'
import { mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { blockers, plan, warnings } from './hosts.js'
import { profile, realDevice, type Wishes } from './profiles.js'

type Choice = DeviceTracker | string
const vf = (wishes?: Wishes) => realDevice('net', 'function', VF_A, VF_B, wishes)
const mdev = (wishes?: Wishes) => realDevice('uart', 'mdev', UUID_A, UUID_B, wishes)
const functions = (log: boolean | null, iommu: boolean | null) => {
  const trackers = [
    { kind: 'device', available: log },
    { kind: 'iommu', available: iommu },
  ] as const
  return [mlx5Vf(VF_A, { trackers }), mlx5Vf(VF_B, { trackers })]
}
const mdevs = (log: boolean) => {
  const trackers = [
    { kind: 'pinned', available: true },
    { kind: 'device', available: log },
  ] as const
  return [mtty(UUID_A, { trackers }), mtty(UUID_B, { trackers })]
}
/** The tracker of the one device; or the codes of what stands in the way. */
function outcome(of: ReturnType<typeof plan>): Choice {
  const codes = blockers(of)
  return codes.length > 0 ? codes.join(' ') : (of.choices[0]?.kind ?? 'none')
}

describe('a function', () => {
  const table: readonly [
    log: boolean,
    iommu: boolean,
    prefer: 'device' | 'iommu',
    forbidAll: boolean,
    backend: 'auto' | 'type1' | 'iommufd',
    expected: Choice,
  ][] = [
    [true, true, 'device', false, 'auto', 'device'],
    [true, true, 'iommu', false, 'auto', 'iommu'],
    [true, true, 'iommu', true, 'auto', 'iommu'],
    [true, true, 'iommu', false, 'iommufd', 'iommu'],
    // type1 reads no dirty bits, so there is nothing to prefer.
    [true, true, 'iommu', false, 'type1', 'device'],
    [true, false, 'iommu', false, 'auto', 'device'],
    [false, true, 'device', false, 'auto', 'iommu'],
    [false, true, 'device', true, 'type1', 'plan/all-forbidden'],
    [false, true, 'iommu', false, 'type1', 'all'],
    [false, false, 'device', false, 'auto', 'all'],
    [false, false, 'iommu', true, 'auto', 'plan/all-forbidden'],
  ]
  it.each(table)('log %s, IOMMU bits %s, prefer %s, forbidAll %s, backend %s: %s', (log, bits, ...rest) => {
    const [prefer, forbidAll, backend, expected] = rest
    const given = profile([vf({ backend })], {
      trackers: { prefer, forbidAll, mixedContainers: 'refuse', iommuHugePages: 'split', process: null },
    })
    expect(outcome(plan(given, functions(log, bits)))).toBe(expected)
  })

  const wished: readonly [tracker: DeviceTracker, log: boolean, iommu: boolean, forbid: boolean, Choice][] = [
    ['device', true, true, false, 'device'],
    ['iommu', true, true, false, 'iommu'],
    ['all', true, true, false, 'all'],
    ['all', true, true, true, 'plan/all-forbidden'],
    ['device', false, true, false, 'plan/tracker-unavailable'],
    ['iommu', true, false, true, 'plan/tracker-unavailable'],
    ['pinned', true, true, false, 'plan/pinned-needs-emulated'],
  ]
  it.each(wished)('its own wish %s (log %s, bits %s, forbidAll %s) comes before prefer: %s', (...row) => {
    const [tracker, log, iommu, forbidAll, expected] = row
    for (const prefer of ['device', 'iommu'] as const) {
      const given = profile([vf({ tracker })], {
        trackers: { prefer, forbidAll, mixedContainers: 'refuse', iommuHugePages: 'split', process: null },
      })
      expect(outcome(plan(given, functions(log, iommu)))).toBe(expected)
    }
  })

  it('a preference is met by what surely works only', () => {
    const trackers = {
      prefer: 'iommu',
      forbidAll: true,
      mixedContainers: 'refuse',
      iommuHugePages: 'split',
      process: null,
    } as const
    const made = plan(profile([vf()], { trackers }), functions(true, null))
    expect(outcome(made)).toBe('device')
    expect(made.choices[0]!.refused.find(({ kind }) => kind === 'iommu')?.code).toBe('not-seen')
    // Nothing is sure: the preferred one, and a warning that it was not seen.
    const unseen = plan(profile([vf()], { trackers }), functions(null, null))
    expect(outcome(unseen)).toBe('iommu')
    expect(warnings(unseen)).toContain('plan/unseen')
    expect(unseen.choices[0]!.brief).toContain('not seen yet')
  })

  it('each device of a workload is chosen for on its own', () => {
    const more = (id: string) => mlx5Vf(id, { group: { ...mlx5Vf().group!, id: `g${id}` } })
    const other = realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3', { tracker: 'device' })
    const made = plan(
      profile([vf(), other], {
        trackers: {
          prefer: 'iommu',
          forbidAll: false,
          mixedContainers: 'refuse',
          iommuHugePages: 'split',
          process: null,
        },
      }),
      [...functions(true, true), more('0000:3b:00.3'), more('0000:5e:00.3')],
    )
    expect(made.choices.map(({ brief, device, kind }) => [device, kind, brief])).toEqual([
      ['net', 'iommu', 'preferred; its IOMMU sets dirty bits, which iommufd reads'],
      ['net2', 'device', 'asked for; its driver logs its DMA'],
    ])
  })
})

describe('an mdev', () => {
  const table: readonly [
    log: boolean,
    backend: 'auto' | 'type1' | 'iommufd',
    tracker: DeviceTracker | 'auto',
    forbidAll: boolean,
    expected: Choice,
  ][] = [
    [false, 'auto', 'auto', true, 'pinned'],
    [true, 'iommufd', 'auto', true, 'device'],
    [false, 'iommufd', 'auto', false, 'all'],
    [false, 'iommufd', 'auto', true, 'plan/all-forbidden'],
    [false, 'iommufd', 'all', true, 'plan/all-forbidden'],
    [false, 'iommufd', 'device', true, 'plan/tracker-unavailable'],
    [true, 'iommufd', 'pinned', false, 'plan/pinned-needs-type1'],
    [true, 'auto', 'pinned', true, 'pinned'],
    [true, 'type1', 'device', true, 'device'],
    [true, 'auto', 'iommu', false, 'plan/tracker-unavailable'],
    [true, 'type1', 'all', false, 'all'],
  ]
  it.each(table)('log %s, backend %s, tracker %s, forbidAll %s: %s', (log, backend, ...rest) => {
    const [tracker, forbidAll, expected] = rest
    // The preference is between two trackers of functions; an mdev never has the IOMMU's.
    for (const prefer of ['device', 'iommu'] as const) {
      const trackers = {
        prefer,
        forbidAll,
        mixedContainers: 'refuse',
        iommuHugePages: 'split',
        process: null,
      } as const
      expect(outcome(plan(profile([mdev({ backend, tracker })], { trackers }), mdevs(log)))).toBe(expected)
    }
  })

  it('under iommufd without a log: the refusal says why each tracker is out', () => {
    const trackers = {
      prefer: 'device',
      forbidAll: true,
      mixedContainers: 'refuse',
      iommuHugePages: 'split',
      process: null,
    } as const
    const made = plan(profile([mdev({ backend: 'iommufd' })], { trackers }), mdevs(false))
    expect(made.choices[0]).toMatchObject({ kind: null, tracker: null, cost: null })
    expect(made.choices[0]!.refused.map(({ code, kind }) => [kind, code])).toEqual([
      ['pinned', 'needs-type1'],
      ['device', 'not-offered'],
      ['iommu', 'not-for-mdev'],
      ['all', 'forbidden'],
    ])
    expect(made.blockers[0]!.found).toContain('iommufd has no pinned-page scope')
  })
})

describe('what a choice costs', () => {
  const costOf = (of: ReturnType<typeof plan>) => of.choices[0]!.cost!
  it('is said of every tracker', () => {
    expect(costOf(plan(profile([mdev()]), mdevs(true)))).toMatchObject({
      granularity: 'page',
      unitBytes: 4096n,
      repeats: 'pinned',
    })
    expect(costOf(plan(profile([vf()]), functions(true, false)))).toMatchObject({
      granularity: 'log-unit',
      repeats: 'nothing',
    })
    const bits = costOf(plan(profile([vf()]), functions(false, true)))
    expect(bits).toMatchObject({ granularity: 'page-table-entry', repeats: 'nothing' })
    expect(bits.text).toContain('2 MiB')
  })
  it('of `all` is in bytes, in the warning, the choice and the forecast', () => {
    const made = plan(profile([vf()]), functions(false, false))
    expect(costOf(made)).toMatchObject({
      granularity: 'every-page',
      unitBytes: 512n << 20n,
      repeats: 'everything',
    })
    expect(made.warnings.find(({ code }) => code === 'plan/all-pages')!.found).toContain(
      'all 512 MiB are sent again in every round and in the blackout',
    )
    expect(made.trackers[0]).toMatchObject({ kind: 'all', everyPage: true })
    expect(made.forecast.floorBytes).toBe(512n << 20n)
  })
})
