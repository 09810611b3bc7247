import { describe, expect, it } from 'vitest'
import { collectInventory } from '../../src/inventory/collect.js'
import { REASON_CODES } from '../../src/inventory/reasons.js'
import { simDevices, simSpec } from '../../src/inventory/sim-spec.js'
import {
  isVfioDriver,
  sameDriver,
  variantDriverFor,
  VARIANT_DRIVERS,
} from '../../src/inventory/variant-drivers.js'
import type { InventoryParams } from '../../src/protocol/protocol.js'
import { profile, sim, simDevice, realDevice } from '../plan/profiles.js'
import { mtty, reply, UUID_A, UUID_B } from './fixtures.js'

describe('collectInventory', () => {
  it('asks one request and judges the reply', async () => {
    const asked: { op: string; params: InventoryParams }[] = []
    const helper = {
      request: (op: 'inventory', params: InventoryParams) => {
        asked.push({ op, params })
        return Promise.resolve(reply([mtty()]))
      },
    }
    const inventory = await collectInventory(helper, { probe: false })
    expect(asked).toEqual([{ op: 'inventory', params: { all: true, probe: false, sim: [] } }])
    expect(inventory.devices[0]!.migratable).toBe(true)
  })
  it('passes the helper’s failure on', async () => {
    const broken = { request: () => Promise.reject(new Error('gone')) }
    await expect(collectInventory(broken)).rejects.toThrow('gone')
  })
})

describe('simulated devices of a profile', () => {
  const one = profile([simDevice('vgpu-0', { model: 'mdev' }), realDevice('m', 'mdev', UUID_A, UUID_B)])
  it('go to the helper by name, with numbers as strings that lose nothing', () => {
    expect(simDevices(one, 'source').map((entry) => entry.name)).toEqual(['vgpu-0'])
    const spec = simSpec(sim({ stateBytes: 2n ** 60n + 1n, window: { iova: 2n ** 56n, bytes: 4096n } }))
    expect(spec.stateBytes).toBe('1152921504606846977')
    expect(spec.window).toEqual({ iova: '0x100000000000000', bytes: '4096' })
    expect('stateBytesPerSecond' in spec).toBe(false)
    expect(simSpec(sim({ stateBytesPerSecond: 5n })).stateBytesPerSecond).toBe('5')
  })
})

describe('tables', () => {
  it('reason codes are kebab-case, each with a sentence', () => {
    for (const [code, entry] of Object.entries(REASON_CODES)) {
      expect(code).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(entry.summary.length).toBeGreaterThan(20)
    }
  })
  it('every variant driver is found by its own ids and recognised as a VFIO driver', () => {
    for (const known of VARIANT_DRIVERS) {
      const found = variantDriverFor({
        vendor: `0x${known.vendor}`,
        device: `0x${known.devices?.[0] ?? 'ffff'}`,
        class: `0x${known.baseClass ?? '02'}0000`,
      })
      expect(found?.driver).toBe(known.driver)
      expect(isVfioDriver(known.driver)).toBe(true)
    }
    expect(isVfioDriver('nvme')).toBe(false)
    expect(sameDriver('mlx5_vfio_pci', 'mlx5-vfio-pci')).toBe(true)
  })
})
