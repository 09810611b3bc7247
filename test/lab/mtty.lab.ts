// The register tool against the real device: what is put in comes back out, by both ways to a device.
import { describe, expect, it } from 'vitest'
import type { Guest } from './guest.js'
import { createMtty, peekPort, setPort, takePort, tryRegs } from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'

const uuid = '0d3f1c6e-7a54-4b0e-9a39-5d9b1f3c2a02'
let guest: Guest
let device: string

shareGuest(PLAIN, async (shared) => {
  guest = shared
  device = await createMtty(guest, uuid, 'mtty-2')
})

describe.each([{ iommufd: false }, { iommufd: true }])('mtty-regs, iommufd: $iommufd', (options) => {
  it('sets and takes each port by itself', async () => {
    const first = { scr: 0x5a, mcr: 0x0b, ier: 0x05, lcr: 0x13, divisor: 0x1234, fifo: '000102ff' }
    const second = { scr: 0xa5, mcr: 0x10, lcr: 0x03, fifo: '0f0e0d0c0b0a090807060504030201' }
    await setPort(guest, device, 0, first, options)
    await setPort(guest, device, 1, second, options)

    // DLAB stays set, and the FIFO has data.
    expect(await takePort(guest, device, 0, options)).toEqual({ ...first, lcr: 0x93, lsr: 0x01 })
    expect(await takePort(guest, device, 1, options)).toEqual({ ...second, ier: 0, divisor: null, lsr: 0x01 })
    // Taken once, gone.
    expect(await takePort(guest, device, 1, options)).toMatchObject({ fifo: '', lsr: 0x60 })
  })

  it('peeks without changing anything', async () => {
    await setPort(guest, device, 0, { scr: 1, divisor: 0x0102, fifo: 'aabb' }, options)
    const seen = await peekPort(guest, device, 0, options)
    expect(seen).toMatchObject({ scr: 1, divisor: 0x0102, lsr: 0x01 })
    expect(seen).not.toHaveProperty('fifo')
    expect(await peekPort(guest, device, 0, options)).toEqual(seen)
    expect(await takePort(guest, device, 0, options)).toMatchObject({ divisor: 0x0102, fifo: 'aabb' })
  })
})

it('refuses what the device would garble', async () => {
  const full = await tryRegs(guest, [device, 'set', '--port', '0', `fifo=${'00'.repeat(16)}`])
  expect(full).toMatchObject({ exit: 1, stderr: 'mtty-regs: fifo: 16 bytes; 15 is the most\n' })
  const busy = await tryRegs(guest, [device, 'get', '--port', '2'])
  expect(busy.exit).toBe(1)
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})
