import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { devicesText } from '../../src/ui/devices-text.js'
import { wrap } from '../../src/ui/wrap.js'
import { edu, eduUnbound, mlx5Vf, mtty, noiommu, nonViable, UUID_A, UUID_B } from '../inventory/fixtures.js'
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
