import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildInventory, judgeDevice } from '../../src/inventory/eligibility.js'
import { isRefusal, REASON_CODES } from '../../src/inventory/reasons.js'
import type { DeviceFacts, HostFacts } from '../../src/protocol/protocol.js'
import {
  edu,
  eduUnbound,
  host,
  mlx5Vf,
  mtty,
  noiommu,
  nonViable,
  reply,
  simulated,
  VF_A,
} from './fixtures.js'

const codes = (facts: DeviceFacts, over: Partial<HostFacts> = {}): string[] =>
  judgeDevice(facts, host(over)).reasons.map((reason) => reason.code)

describe('what can migrate', () => {
  it.each([
    ['an mtty mdev', mtty()],
    ['a virtual function with its variant driver', mlx5Vf()],
    ['a simulated mdev', simulated('vgpu-0', 'mdev')],
    ['a simulated function', simulated('vf-0', 'function')],
  ])('%s', (_, facts) => {
    expect(judgeDevice(facts, host())).toMatchObject({ migratable: true, reasons: [] })
  })

  it('needs only one of the two ways to open it', () => {
    expect(codes(mtty(undefined, { cdev: null }))).toEqual([])
    expect(codes(mtty(), { type1: false })).toEqual([])
    expect(codes(mtty(), { iommufd: false })).toEqual([])
    expect(codes(mtty(undefined, { cdev: { name: 'vfio0', node: null } }))).toEqual([])
  })
})

describe('every refusal names what was found and what would lift it', () => {
  const [found, remedy] = [
    (facts: DeviceFacts) => reasonOf(facts).found,
    (facts: DeviceFacts) => reasonOf(facts).remedy,
  ]
  const reasonOf = (facts: DeviceFacts) => judgeDevice(facts, host()).reasons[0]!

  it('edu on plain vfio-pci: no migration, and no driver that would have it', () => {
    expect(codes(edu())).toEqual(['generic-driver'])
    expect(found(edu())).toContain('1234:11e8')
    expect(remedy(edu())).toContain('no migration driver is known for 1234:11e8')
    expect(codes(edu({ migration: null, probe: { done: false, skipped: 'no-permission' } }))).toEqual([
      'generic-driver',
    ])
  })
  it('a ConnectX function on plain vfio-pci: names the variant driver', () => {
    const facts = mlx5Vf(VF_A, {
      driver: 'vfio-pci',
      migration: { supported: false, flags: [], state: null, stateBytes: null },
    })
    expect(codes(facts)).toEqual(['generic-driver'])
    expect(remedy(facts)).toContain('mlx5_vfio_pci')
  })
  it('edu unbound', () => {
    expect(codes(eduUnbound())).toEqual(['not-bound'])
    expect(judgeDevice(eduUnbound(), host()).migratable).toBe(false)
  })
  it('bound to a host driver, by vendor and by class', () => {
    const qat = eduUnbound({ driver: '4xxxvf', vendor: '8086', device: '4941' })
    expect(codes(qat)).toEqual(['wrong-driver'])
    expect(remedy(qat)).toContain('qat_vfio_pci')
    const gpu = eduUnbound({
      driver: 'xe',
      vendor: '0x8086',
      device: '0xe20b',
      class: '0x030000',
      virtualFunctions: 7,
    })
    expect(remedy(gpu)).toContain('xe_vfio_pci')
    expect(remedy(gpu)).toContain('it has 7')
    expect(
      remedy(eduUnbound({ driver: 'x', vendor: '0x8086', device: '0xe20b', class: '0x020000' })),
    ).not.toContain('xe_vfio_pci')
  })
  it('a group that is not viable names the member and its driver', () => {
    const judged = judgeDevice(nonViable(), host())
    expect(judged.reasons[0]).toMatchObject({ code: 'group-not-viable', layer: 'group' })
    expect(judged.reasons[0]!.found).toContain('0000:3b:00.0 (driver nvme)')
    expect(judged.reasons[0]!.found).not.toContain('pcieport')
    expect(judged.migratable).toBe(false)
  })
  it('two causes come at once: unbound, and a group that is not viable', () => {
    expect(codes({ ...nonViable(), driver: null, cdev: null })).toEqual(['group-not-viable', 'not-bound'])
  })
  it('noiommu', () => {
    expect(codes(noiommu())).toEqual(['noiommu-group', 'generic-driver'])
  })
  it('no IOMMU, or an IOMMU that does not cover the function', () => {
    expect(codes(eduUnbound({ group: null }), { iommuPresent: false })).toEqual(['no-iommu', 'not-bound'])
    expect(codes(eduUnbound({ group: null }))).toEqual(['no-group', 'not-bound'])
    expect(codes(mtty(undefined, { group: null }), { iommuPresent: false })).toEqual(['no-group'])
  })
  it('nothing to open it with', () => {
    const bare = mtty(undefined, { group: { ...mtty().group!, node: null }, cdev: null })
    expect(codes(bare)).toEqual(['no-node'])
    expect(codes(mtty(), { type1: false, iommufd: false })).toEqual(['no-backend'])
    expect(codes(mtty(undefined, { cdev: null }), { type1: false })).toEqual(['no-cdev'])
    expect(codes(mtty(undefined, { group: { ...mtty().group!, node: null } }), { iommufd: false })).toEqual([
      'no-group-node',
    ])
  })
  it('a driver without migration, without STOP_COPY, or a device in ERROR', () => {
    expect(
      codes(mtty(undefined, { migration: { supported: false, flags: [], state: null, stateBytes: null } })),
    ).toEqual(['driver-without-migration'])
    expect(
      codes(
        mtty(undefined, { migration: { supported: true, flags: ['p2p'], state: 'ERROR', stateBytes: null } }),
      ),
    ).toEqual(['no-stop-copy', 'in-error'])
  })
})

describe('what could not be seen is null, never a silent yes', () => {
  it.each([
    ['busy', 'busy'],
    ['no-permission', 'no-permission'],
    ['not-asked', 'not-probed'],
    ['failed', 'probe-failed'],
    [undefined, 'not-probed'],
  ])('probe skipped as %s', (skipped, code) => {
    const probe = skipped === undefined ? { done: false } : { done: false, skipped }
    const judged = judgeDevice(mtty(undefined, { migration: null, probe }), host())
    expect(judged.migratable).toBeNull()
    expect(judged.reasons.map((reason) => reason.code)).toEqual([code])
  })
  it('a failed probe says what failed', () => {
    const error = {
      code: 'device/open',
      message: 'VFIO_GROUP_GET_DEVICE_FD failed',
      meaning: 'no such device',
    }
    const facts = mtty(undefined, { migration: null, probe: { done: false, skipped: 'failed', error } })
    expect(judgeDevice(facts, host()).reasons[0]!.found).toBe(
      'VFIO_GROUP_GET_DEVICE_FD failed (no such device)',
    )
  })
})

describe('properties', () => {
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
  const facts = fc
    .record({
      base: fc.constantFrom(
        mtty(),
        edu(),
        eduUnbound(),
        mlx5Vf(),
        nonViable(),
        noiommu(),
        simulated('s', 'mdev'),
      ),
      driver: maybe(fc.constantFrom('vfio-pci', 'mlx5_vfio_pci', 'nvme', 'vfio_mtty')),
      noGroup: fc.boolean(),
      node: maybe(fc.constant('/dev/vfio/3')),
      cdev: maybe(
        fc.record({ name: fc.constant('vfio3'), node: maybe(fc.constant('/dev/vfio/devices/vfio3')) }),
      ),
      migration: maybe(
        fc.record({
          supported: fc.boolean(),
          flags: fc.subarray(['stop-copy', 'p2p', 'pre-copy'] as const),
          state: maybe(
            fc.constantFrom('RUNNING', 'ERROR', 'STOP') as fc.Arbitrary<'RUNNING' | 'ERROR' | 'STOP'>,
          ),
          stateBytes: maybe(fc.constant('96')),
        }),
      ),
      skipped: fc.constantFrom('busy', 'no-permission', 'not-bound', 'not-asked', 'failed'),
    })
    .map(({ base, driver, noGroup, node, cdev, migration, skipped }): DeviceFacts => ({
      ...base,
      driver,
      group: noGroup || base.group === null ? null : { ...base.group, node },
      cdev,
      migration,
      probe: migration === null ? { done: false, skipped } : { done: true },
    }))
  const hosts = fc.record({
    type1: maybe(fc.boolean()),
    iommufd: maybe(fc.boolean()),
    iommuPresent: fc.boolean(),
  })

  it('the verdict follows from the reasons, and every reason is in the table with text', () => {
    fc.assert(
      fc.property(facts, hosts, (device, over) => {
        const judged = judgeDevice(device, host(over))
        const refused = judged.reasons.some(isRefusal)
        expect(judged.migratable).toBe(refused ? false : judged.reasons.length > 0 ? null : true)
        for (const reason of judged.reasons) {
          expect(Object.keys(REASON_CODES)).toContain(reason.code)
          expect(reason.found.length).toBeGreaterThan(5)
          expect(reason.remedy.length).toBeGreaterThan(5)
        }
        expect(new Set(judged.reasons.map((reason) => reason.code)).size).toBe(judged.reasons.length)
      }),
    )
  })
  it('only a device that was asked and answered can be true, and it has a way to be opened', () => {
    fc.assert(
      fc.property(facts, hosts, (device, over) => {
        const judged = judgeDevice(device, host(over))
        if (judged.migratable !== true) return
        expect(device.migration?.supported).toBe(true)
        expect(device.migration?.flags).toContain('stop-copy')
        if (device.simulated) return
        expect(device.driver).not.toBeNull()
        expect(device.group !== null && device.group.iommu !== 'noiommu').toBe(true)
        expect(device.group?.members.some((member) => member.blocksGroup)).toBe(false)
        expect(device.group?.node ?? device.cdev?.node ?? null).not.toBeNull()
      }),
    )
  })
})

describe('buildInventory', () => {
  it('keeps the facts and judges every device', () => {
    const inventory = buildInventory(reply([mtty(), edu()], {}, ['debugfs is not mounted']))
    expect(inventory.unseen).toEqual(['debugfs is not mounted'])
    expect(inventory.devices.map((device) => device.migratable)).toEqual([true, false])
    expect(inventory.devices[1]).toMatchObject(edu())
  })
})
