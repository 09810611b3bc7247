import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { devicesText } from '../../src/ui/devices-text.js'
import { wrap } from '../../src/ui/wrap.js'
import type { TrackerKind } from '../../src/protocol/protocol.js'
import {
  edu,
  EDU,
  eduUnbound,
  mlx5Vf,
  mtty,
  noiommu,
  nonViable,
  UUID_A,
  UUID_B,
} from '../inventory/fixtures.js'
import { inventory } from '../plan/hosts.js'

const busy = mtty(UUID_B, { migration: null, probe: { done: false, skipped: 'busy' } })
const all = inventory([mtty(), mlx5Vf(), nonViable(), edu(), eduUnbound(), noiommu(), busy])

describe('devicesText', () => {
  it('a table where it fits, blocks where it does not; nothing is cut', () => {
    expect(devicesText(all)).toMatch(/^MIGRATES {2}KIND/m)
    for (const width of [80, 100, 120]) {
      const text = devicesText(all, { width })
      expect(text).not.toMatch(/^MIGRATES/m)
      for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(width)
      for (const device of all.devices) expect(text).toContain(device.id)
    }
  })
  it('every reason is there with code and remedy, apart by what is known', () => {
    for (const options of [{}, { width: 80 }, { long: true }]) {
      const text = devicesText(all, options).replaceAll(/\s+/g, ' ')
      for (const reason of all.devices.flatMap((device) => device.reasons)) {
        expect(text).toContain(`[${reason.code}] ${reason.found}`.replaceAll(/\s+/g, ' '))
        expect(text).toContain(reason.remedy.replaceAll(/\s+/g, ' '))
      }
    }
    const text = devicesText(all)
    expect(text.indexOf('Could not be decided')).toBeLessThan(text.lastIndexOf(UUID_B))
    expect(devicesText(inventory([mtty()]))).not.toContain('Cannot migrate')
  })
  it('what was not seen is "?", what is not there "-"', () => {
    const rows = devicesText(
      inventory([busy, eduUnbound({ driver: 'nvme', trackers: [{ kind: 'device', available: null }] })]),
    ).split('\n')
    expect(rows.find((line) => line.startsWith('unknown'))).toMatch(/ \? +pinned,device +\?$/)
    expect(rows.find((line) => line.startsWith('no'))).toMatch(/ - +- +-$/)
    const perhaps = mlx5Vf(undefined, { trackers: [{ kind: 'iommu', available: null }] })
    expect(devicesText(inventory([perhaps]))).toContain('iommu?')
  })
  it('tells three devices of unlike drivers apart, and says of each what it has and why not the rest', () => {
    const no = (kind: TrackerKind, reason: string) => ({ kind, available: false, reason }) as const
    const yes = (kind: TrackerKind) => ({ kind, available: true }) as const
    const behindBits = (id: string) =>
      mlx5Vf(id, {
        driver: 'some_dirty',
        physicalFunction: null,
        trackers: [
          no('pinned', 'its group is physical'),
          no('device', 'the driver keeps no log'),
          yes('iommu'),
        ],
      })
    const three = inventory([
      mtty(UUID_A, {
        trackers: [yes('pinned'), no('device', 'the driver keeps no log'), no('iommu', 'an mdev')],
      }),
      edu({
        driver: 'some_edu',
        cdev: { name: 'vfio1', node: null },
        migration: { supported: true, flags: ['stop-copy', 'p2p'], state: 'RUNNING', stateBytes: '64' },
        trackers: [no('pinned', 'its group is physical'), yes('device'), no('iommu', 'no dirty bits')],
      }),
      behindBits('10000:00:00.0'),
      behindBits('10000:01:00.0'),
    ])
    const text = devicesText(three)
    const row = (id: string): string[] =>
      text
        .split('\n')
        .find((line) => line.includes(`${id} `))!
        .split(/ {2,}/u)
    expect(row(UUID_A)).toEqual([
      ...['yes', 'mdev', UUID_A, 'vfio_mtty', '8', 'emulated', 'yes', 'type1,iommufd'],
      ...['stop-copy,p2p,pre-copy', 'pinned', '96 B'],
    ])
    expect(row(EDU)).toEqual([
      ...['yes', 'function', EDU, 'some_edu', '3', 'physical', 'yes', 'type1'],
      ...['stop-copy,p2p', 'device', '64 B'],
    ])
    expect(row('10000:00:00.0').slice(3)).toEqual([
      ...['some_dirty', expect.any(String), 'physical', 'yes', 'type1,iommufd'],
      ...['stop-copy,p2p,pre-copy', 'iommu', '12.0 MiB'],
    ])
    // What is so of both is said once.
    expect(text).toContain(
      '  10000:00:00.0, 10000:01:00.0\n      pinned no: its group is physical\n' +
        '      device no: the driver keeps no log\n      iommu yes',
    )
    expect(text).toContain(`  ${UUID_A}\n      pinned yes\n      device no: the driver keeps no log`)
    const long = devicesText(three, { long: true })
    expect(long).toContain('type1 yes: /dev/vfio/3 is there')
    expect(long).toContain('iommufd no: the device has no cdev node under /dev/vfio/devices')
  })
  it('the long form has every tracker with its reason, members and nodes', () => {
    const text = devicesText(inventory([nonViable(), mtty(UUID_A)]), { long: true, width: 120 })
    expect(text).toContain('0000:3b:00.0 (nvme, blocks the group)')
    expect(text).toContain('NOT viable')
    expect(text).toContain('/dev/vfio/devices/vfio0')
    expect(text).toContain('iommu no: an mdev has no IOMMU page table')
  })
  it('an empty host is told what that means', () => {
    expect(devicesText(inventory([]))).not.toContain('no IOMMU in use')
    expect(devicesText(inventory([], { iommuPresent: false }))).toContain('no IOMMU in use')
    expect(devicesText(inventory([]), { all: true })).not.toContain('--all')
  })
})

describe('wrap', () => {
  it('keeps every word, and every line within the width unless one word is longer', () => {
    const word = fc.stringMatching(/^[a-z/:.0-9]{1,30}$/)
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.integer({ min: 20, max: 120 }), (words, width) => {
        const text = wrap(words.join(' '), width, '  - ')
        expect(text.slice(4).split(/\s+/)).toEqual(words)
        for (const line of text.split('\n')) {
          if (line.trim().replace('- ', '').includes(' ')) expect(line.length).toBeLessThanOrEqual(width)
        }
      }),
    )
  })
  it('keeps a figure with its unit', () => {
    expect(wrap('the limit needs more than 66.8 MiB/s', 32)).toBe('the limit needs more than\n66.8 MiB/s')
  })
})
