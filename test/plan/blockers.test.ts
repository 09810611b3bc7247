import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Plan } from '../../src/plan/plan.js'
import type { MemoryRegion } from '../../src/profile/profile.js'
import { PLAN_CODES } from '../../src/plan/codes.js'
import { edu, EDU, eduUnbound, mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { blockers, plan, warnings } from './hosts.js'
import { elsewhere, MIB, profile, realDevice, region, simDevice } from './profiles.js'

const uart = realDevice('uart', 'mdev', UUID_A, UUID_B)
const net = realDevice('net', 'function', VF_A, VF_B)
const both = [mtty(UUID_A), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B)]
const remote = { destination: elsewhere() }

describe('devices', () => {
  it('a device the host does not have, with the nearest name', () => {
    const made = plan(profile([realDevice('net', 'function', '0000:3b:00.3', VF_B)]), both)
    expect(blockers(made)).toEqual(['plan/no-such-device'])
    expect(made.blockers[0]!.remedy).toBe(`did you mean ${VF_A}?`)
  })
  it('letters of a UUID or BDF compare without case', () => {
    expect(blockers(plan(profile([realDevice('u', 'mdev', UUID_A.toUpperCase(), UUID_B)]), both))).toEqual([])
  })
  it('the inventory’s reasons stand in the plan: edu on vfio-pci, unbound, busy', () => {
    const one = profile([realDevice('edu', 'function', EDU, EDU)], remote)
    const made = plan(one, [edu()])
    expect(made.blockers.map((blocker) => [blocker.code, blocker.side, blocker.device])).toEqual([
      ['generic-driver', 'source', 'edu'],
      ['generic-driver', 'destination', 'edu'],
    ])
    expect(blockers(plan(one, [eduUnbound()]))).toEqual(['not-bound', 'not-bound'])
    const busy = mtty(UUID_A, { migration: null, probe: { done: false, skipped: 'busy' } })
    expect(blockers(plan(profile([uart]), [busy, mtty(UUID_B)]))).toEqual(['busy'])
    const inUse = mtty(UUID_A, { probe: { done: true, via: 'group', heldBy: 4711 } })
    const made2 = plan(profile([uart]), [inUse, mtty(UUID_B)])
    expect(made2.blockers.map((blocker) => [blocker.code, blocker.found])).toEqual([
      ['busy', 'process 4711 holds the device open'],
    ])
  })
  it('to measure, a device need not be able to migrate', () => {
    const one = profile([realDevice('edu', 'function', EDU, EDU, { backend: 'type1' })], remote)
    const made = plan(one, [edu()], [edu()], { options: { purpose: 'measure' } })
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).toContain('generic-driver')
    expect(made.trackers.map((tracker) => tracker.tracker)).toEqual(['all:type1-functions'])
    expect(made.steps.map((step) => step.op)).toContain('track')
    expect(blockers(plan(one, [eduUnbound()], [], { options: { purpose: 'measure' } }))).toContain(
      'not-bound',
    )
  })
  it('kinds that differ', () => {
    const mixed = { ...uart, destination: net.destination }
    expect(blockers(plan(profile([mixed]), both))).toContain('plan/kind-differs')
    const half = { ...uart, destination: simDevice('uart').destination }
    expect(blockers(plan(profile([half]), both))).toContain('plan/kind-differs')
  })
  it('one device on both sides of one host, or twice on one side', () => {
    const same = profile([realDevice('uart', 'mdev', UUID_A, UUID_A)])
    expect(blockers(plan(same, both))).toEqual(['plan/same-device'])
    expect(blockers(plan({ ...same, ...remote }, both))).toEqual([])
    const twice = profile([uart, { ...uart, name: 'other' }], remote)
    expect(blockers(plan(twice, both))).toEqual(['plan/same-device', 'plan/same-device'])
  })
  it('one IOMMU group on both sides of one host', () => {
    const shared = [mlx5Vf(VF_A), mlx5Vf(VF_B, { group: mlx5Vf(VF_A).group })]
    expect(blockers(plan(profile([net]), shared))).toEqual(['plan/group-shared'])
    expect(blockers(plan(profile([net], remote), shared))).toEqual([])
  })
  it('functions of other vendors or drivers', () => {
    const other = [mlx5Vf(VF_A), mlx5Vf(VF_B, { device: '0x1021' })]
    expect(blockers(plan(profile([net]), other))).toEqual(['plan/device-differs'])
    const driver = [mlx5Vf(VF_A), mlx5Vf(VF_B, { driver: 'pds_vfio_pci' })]
    expect(blockers(plan(profile([net]), driver))).toEqual(['plan/driver-differs'])
  })
  it('another mdev type is a warning: the driver judges it', () => {
    const one = mtty(UUID_B, {
      mdevType: 'mtty-1',
      migration: { ...mtty().migration!, stateBytes: '60' },
    })
    const made = plan(profile([uart]), [mtty(UUID_A), one])
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).toEqual(expect.arrayContaining(['plan/type-differs', 'plan/state-size-differs']))
  })
  it('flags the destination lacks', () => {
    const less = mtty(UUID_B, { migration: { ...mtty().migration!, flags: ['stop-copy'] } })
    const made = plan(profile([uart]), [mtty(UUID_A), less])
    expect(blockers(made)).toEqual(['plan/flags-differ'])
    expect(made.blockers[0]!.found).toContain('p2p and pre-copy')
  })
  it('a device without P2P moves alone or not at all', () => {
    const alone = simDevice('a', { flags: ['stop-copy'] })
    expect(blockers(plan(profile([alone])))).toEqual([])
    expect(blockers(plan(profile([alone, simDevice('b')])))).toEqual([
      'plan/p2p-required',
      'plan/p2p-required',
    ])
  })
  it('what could not be asked is a warning', () => {
    const shy = { migration: null, probe: { done: false, skipped: 'not-asked' } } as const
    const made = plan(profile([uart, net]), [mtty(UUID_A, shy), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B)])
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).toEqual(expect.arrayContaining(['not-probed', 'plan/unseen']))
  })
  it('a source device that is not RUNNING is a warning', () => {
    const stopped = mtty(UUID_A, { migration: { ...mtty().migration!, state: 'STOP' } })
    expect(warnings(plan(profile([uart]), [stopped, mtty(UUID_B)]))).toContain('plan/not-running')
  })
})

describe('hosts', () => {
  it('not root, and the devices could not be opened', () => {
    const shy = { migration: null, probe: { done: false, skipped: 'no-permission' } } as const
    const made = plan(profile([uart]), [mtty(UUID_A, shy), mtty(UUID_B, shy)], undefined, {
      source: { uid: 1000 },
    })
    expect(blockers(made)).toEqual(['host/not-root'])
    expect(warnings(made)).toContain('no-permission')
    expect(blockers(plan(profile([simDevice('s')]), [], [], { source: { uid: 1000 } }))).toEqual([])
    expect(blockers(plan(profile([uart]), both, both, { source: { uid: 1000 } }))).toEqual([])
  })
  it('data in the clear between two hosts is a warning, for loopback it is none', () => {
    const open = profile([simDevice('s')])
    const made = plan({ ...open, transport: { ...open.transport, insecure: 'one rack' } })
    expect(warnings(made)).toContain('plan/no-integrity')
    expect(warnings(plan(open))).not.toContain('plan/no-integrity')
  })
  it('a file that others may shorten is a warning of each side that has it', () => {
    const made = (over: Partial<MemoryRegion>) =>
      plan({ ...profile([simDevice('s')]), memory: [region(over)] })
    const sides = ({ warnings }: Plan): readonly string[] =>
      warnings.filter(({ code }) => code === 'plan/truncatable').map(({ side }) => side)
    const file = { kind: 'file', path: '/srv/ram' } as const
    expect(sides(made({ source: file, destination: file, othersMayTruncate: true }))).toEqual([
      'source',
      'destination',
    ])
    expect(sides(made({ destination: file, othersMayTruncate: true }))).toEqual(['destination'])
    expect(sides(made({ source: file, destination: file }))).toEqual([])
    expect(sides(made({ othersMayTruncate: true }))).toEqual([])
  })
  it('memlock: physical groups pin everything, once a container; mdevs perhaps', () => {
    const small = { memlockBytes: String(8n * MIB) }
    const made = plan(profile([net]), both, both, { destination: small })
    expect(made.blockers.map((blocker) => [blocker.code, blocker.side])).toEqual([
      ['host/memlock', 'destination'],
    ])
    expect(made.blockers[0]!.found).toContain('512 MiB')
    expect(made.blockers[0]!.found).toContain('8 MiB')
    expect(warnings(plan(profile([uart]), both, both, { source: small }))).toContain('host/memlock')
    expect(
      blockers(plan(profile([net]), both, both, { source: { memlockBytes: String(512n * MIB) } })),
    ).toEqual([])
    const more = (id: string) => mlx5Vf(id, { group: { ...mlx5Vf().group!, id: `g${id}` } })
    const two = realDevice('net2', 'function', '0000:3b:00.3', '0000:5e:00.3', { tracker: 'iommu' })
    const twice = plan(
      profile([net, two]),
      [...both, more('0000:3b:00.3'), more('0000:5e:00.3')],
      undefined,
      {
        source: { memlockBytes: String(512n * MIB) },
      },
    )
    expect(twice.blockers[0]!.found).toContain('1 GiB (512 MiB in 2 containers')
    expect(blockers(plan(profile([simDevice('s')]), [], [], { source: small }))).toEqual([])
  })
  it('memory, for both sides together on one host', () => {
    const tight = { memoryAvailableBytes: String(600n * MIB) }
    expect(blockers(plan(profile([simDevice('s')]), [], [], { source: tight, destination: tight }))).toEqual([
      'host/memory',
    ])
    const apart = profile([simDevice('s')], remote)
    expect(blockers(plan(apart, [], [], { source: tight, destination: tight }))).toEqual([])
    const made = plan(apart, [], [], { destination: { memoryAvailableBytes: String(100n * MIB) } })
    expect(made.blockers.map((blocker) => [blocker.code, blocker.side])).toEqual([
      ['host/memory', 'destination'],
    ])
    const file = { kind: 'file', path: '/dev/hugepages/ram' } as const
    const backed = profile([simDevice('s')], { memory: [region({ source: file, destination: file })] })
    expect(blockers(plan(backed, [], [], { source: tight, destination: tight }))).toEqual([])
  })
  it('huge pages cannot be counted from here', () => {
    const huge = { kind: 'memfd', hugePageBytes: 2n * MIB } as const
    const made = plan(profile([simDevice('s')], { memory: [region({ destination: huge })] }))
    expect(made.warnings.map((warning) => [warning.code, warning.side])).toEqual([
      ['host/huge-pages', 'destination'],
    ])
  })
  it('page sizes', () => {
    const big = { destination: { pageSize: 65_536 } }
    const made = plan(profile([simDevice('s')]), [], [], big)
    expect(blockers(made)).toEqual([])
    expect(warnings(made)).toContain('plan/page-size')
    expect(made.pageSize).toBe(4096)
    const odd = profile([simDevice('s')], { memory: [region({ bytes: 512n * MIB + 4096n })] })
    expect(blockers(plan(odd, [], [], big))).toEqual(['plan/page-size'])
  })
  it('kernels that differ, for real devices', () => {
    const newer = { destination: { kernel: '7.1.0' } }
    expect(warnings(plan(profile([uart]), both, both, newer))).toContain('plan/kernel-differs')
    expect(warnings(plan(profile([simDevice('s')]), [], [], newer))).toEqual([])
  })
})

it('all blockers come at once, from profile, devices, trackers and hosts', () => {
  const made = plan(
    profile([
      realDevice('edu', 'function', EDU, '0000:00:09.0'),
      simDevice('s', { flags: ['stop-copy'] }),
      { ...net, tracker: 'pinned' },
    ]),
    [edu(), ...both],
    undefined,
    { source: { memoryAvailableBytes: '4096', memlockBytes: '4096' } },
  )
  expect(new Set(blockers(made))).toEqual(
    new Set([
      'generic-driver',
      'plan/no-such-device',
      'plan/p2p-required',
      'plan/pinned-needs-emulated',
      'host/memlock',
      'host/memory',
    ]),
  )
  expect(made.steps).toEqual([])
  for (const blocker of made.blockers) {
    expect(blocker.found).not.toBe('')
    expect(blocker.remedy).not.toBe('')
  }
})

it('every code of the table has a test here, and the sources use no other', () => {
  const read = (folder: URL) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && name !== 'codes.ts')
      .map((name) => readFileSync(new URL(name, folder), 'utf8'))
      .join('\n')
  const used = (text: string) => new Set(text.match(/(?<=')(?:plan|host)\/[a-z0-9-]+(?=')/g))
  const table = new Set(Object.keys(PLAN_CODES))
  expect(used(read(new URL('../../src/plan/', import.meta.url)))).toEqual(table)
  expect(used(read(new URL('./', import.meta.url)))).toEqual(table)
})
