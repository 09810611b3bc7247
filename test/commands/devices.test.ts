import { afterEach, describe, expect, it } from 'vitest'
import type { InventoryReply } from '../../src/protocol/protocol.js'
import { EDU, edu, eduUnbound, mtty, reply, UUID_A, UUID_B } from '../inventory/fixtures.js'
import { fakeHost, type FakeHost } from '../support/fake-host.js'

let host: FakeHost | undefined
const on = (inventory: InventoryReply): FakeHost => (host = fakeHost(inventory))
afterEach(() => {
  host?.remove()
  host = undefined
})

describe('ferry devices', { timeout: 30_000 }, () => {
  it('lists every device, and why some cannot migrate', async () => {
    const { exitCode, stdout, stderr } = await on(
      reply([mtty(), edu()], {}, ['debugfs is not mounted']),
    ).ferry('devices')
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    const row = (id: string) => stdout.split('\n').find((line) => line.includes(id))
    expect(row(UUID_A)).toMatch(
      /^yes +mdev .* 8 +emulated +yes +type1,iommufd +stop-copy,p2p,pre-copy +pinned,device +96 B$/,
    )
    expect(row(EDU)).toMatch(/^no +function .* 3 +physical +yes +type1,iommufd +- +- +-$/)
    expect(stdout).toContain('[generic-driver]')
    expect(stdout).toContain('debugfs is not mounted')
  })
  it('--json carries facts, verdicts and reasons', async () => {
    const { exitCode, stdout } = await on(reply([mtty(), edu()])).ferry('devices', '--json')
    const envelope = JSON.parse(stdout)
    expect(exitCode).toBe(0)
    expect(envelope).toMatchObject({ command: 'devices', status: 'ok', exit: 0 })
    expect(envelope.result.devices.map((device: { migratable: boolean }) => device.migratable)).toEqual([
      true,
      false,
    ])
    expect(envelope.result.devices[1].reasons[0]).toMatchObject({
      code: 'generic-driver',
      layer: 'migration',
    })
  })
  it('asks no more than it is told to', async () => {
    const here = on(reply([]))
    await here.ferry('devices', '--no-probe')
    await here.ferry('devices', '--all')
    expect(here.requests().map((request) => request.op)).toEqual(['hello', 'inventory', 'hello', 'inventory'])
    expect(here.requests()[1]!.params).toEqual({ all: false, probe: false, sim: [] })
    expect(here.requests()[3]!.params).toEqual({ all: true, probe: true, sim: [] })
  })
  it('a host without VFIO devices is no error, and is told what it means', async () => {
    const { exitCode, stdout } = await on(reply([], { iommuPresent: false })).ferry('devices')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('has no VFIO devices')
    expect(stdout).toContain('no IOMMU in use')
    expect(stdout).toContain('--all')
  })
  it('--device shows everything of one, also when it is not bound to VFIO', async () => {
    const here = on(reply([mtty(), eduUnbound()]))
    const { exitCode, stdout } = await here.ferry('devices', '--device', EDU)
    expect(exitCode).toBe(0)
    expect(here.requests()[1]!.params).toMatchObject({ all: true })
    expect(stdout).toContain('[not-bound]')
    expect(stdout).not.toContain(UUID_A)
    const upper = await here.ferry('devices', '--device', UUID_A.toUpperCase())
    expect(upper.stdout).toContain('type mtty-2 of mtty')
    expect(upper.stdout).toContain('device yes: mtty accepts it but logs nothing')
  })
  it('--device that is not there: exit 1, the nearest id', async () => {
    const { exitCode, stderr } = await on(reply([mtty()])).ferry('devices', '--device', UUID_B)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('devices/no-such-device')
    expect(stderr).toContain(`did you mean ${UUID_A}?`)
  })
})
