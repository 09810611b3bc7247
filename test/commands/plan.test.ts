import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { EDU, edu, mtty, reply, simulated, UUID_A, UUID_B } from '../inventory/fixtures.js'
import { PROTOCOL_VERSION } from '../../src/protocol/protocol.js'
import { fakeHost, type FakeHost } from '../support/fake-host.js'
import { scene } from '../support/fake-scene.js'

let host: FakeHost | undefined
afterEach(() => {
  host?.remove()
  host = undefined
})
const MDEV = `version: 1
name: uart
source: { host: local }
destination: { host: local, listen: "127.0.0.1:0", then: close }
memory:
  - { name: ram, iova: 0x0, size: 64MiB, backing: memfd }
devices:
  - name: uart
    source: { mdev: ${UUID_A} }
    destination: { mdev: ${UUID_B} }
`
const EDUS = MDEV.replace(UUID_A, 'x')
  .replace('mdev: x', `function: "${EDU}"`)
  .replace(`mdev: ${UUID_B}`, `function: "0000:00:05.0"`)

function onLab(profile: string, inventory = reply([mtty(UUID_A), mtty(UUID_B), edu()])): [FakeHost, string] {
  host = fakeHost(inventory)
  const file = join(host.folder, 'profile.yaml')
  writeFileSync(file, profile)
  return [host, file]
}

const HELLO = JSON.stringify({
  id: 1,
  ok: { protocol: PROTOCOL_VERSION, version: '0.1.0', build: '', pid: 1, uid: 0, stateDir: '/nowhere' },
})

describe('ferry plan', { timeout: 30_000 }, () => {
  it('prints pairs, choices with reasons, steps and forecast; changes nothing', async () => {
    const [here, file] = onLab(MDEV)
    const { exitCode, stdout, stderr } = await here.ferry('plan', file)
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^plan uart: can run/)
    expect(stdout).toMatch(/^ {2}uart +pinned +type1-mdevs +type1 +alone in an emulated group: /mu)
    expect(stdout).not.toContain('not-for-mdev')
    expect(stdout).toMatch(/1 {2}source +claim uart/)
    expect(stdout).toContain('FORECAST')
    expect(new Set(here.requests().map((request) => request.op))).toEqual(new Set(['hello', 'inventory']))
    expect(readdirSync(here.folder).toSorted()).toEqual(['profile.yaml'])
  })
  it('blocked: exit 3, all blockers with codes and remedies, and no steps', async () => {
    const [here, file] = onLab(EDUS)
    const { exitCode, stdout, stderr } = await here.ferry('plan', file)
    expect(exitCode).toBe(3)
    expect(stdout).toContain('BLOCKED by 2 causes')
    expect(stdout).toContain('[generic-driver] source, uart')
    expect(stdout).toContain('[plan/no-such-device] destination, uart')
    expect(stdout).toContain('none: a plan with blockers cannot run')
    expect(stderr).toContain('plan/blocked')
  })
  it('--json gives the whole plan, blocked or not', async () => {
    const [here, file] = onLab(MDEV)
    const fine = JSON.parse((await here.ferry('plan', file, '--json')).stdout)
    expect(fine).toMatchObject({ command: 'plan', status: 'ok', exit: 0 })
    expect(fine.result.plan.trackers[0].tracker).toBe('pinned:type1-mdevs')
    expect(fine.result.plan.forecast.memoryBytes).toBe('67108864')
    writeFileSync(file, EDUS)
    const run = await here.ferry('plan', file, '--json')
    const blocked = JSON.parse(run.stdout)
    expect(run.exitCode).toBe(3)
    expect(blocked).toMatchObject({ status: 'error', exit: 3, error: { code: 'plan/blocked' } })
    expect(blocked.error.reasons.map((reason: { code: string }) => reason.code)).toEqual([
      'generic-driver',
      'plan/no-such-device',
    ])
    expect(blocked.result.plan.steps).toEqual([])
  })
  it('logs each request with its side, and each reply with its time; no parameters', async () => {
    const [here, file] = onLab(MDEV)
    const log = join(here.folder, 'ferry.log')
    await here.ferry('plan', file, '--log-level', 'debug', '--log-file', log)
    const lines = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const side of ['source', 'destination']) {
      const own = lines.filter((line) => line.side === side && line.op === 'inventory')
      expect(own).toMatchObject([{ msg: 'request' }, { msg: 'reply', elapsedMs: expect.any(Number) }])
      expect(own.every((line) => line.level === 20 && !('params' in line))).toBe(true)
    }
  })
  it('one host out of reach: what the other has, and the reason, exit 1', async () => {
    const [here, file] = onLab(EDUS)
    const half = ['--set', 'destination.helper=/nonexistent/ferry-helper']
    const { exitCode, stderr, stdout } = await here.half('plan', file, ...half)
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/only the source could be asked/u)
    expect(stdout).toContain('[generic-driver] source, uart')
    expect(stderr).toContain('error[helper/missing]: destination: ')
    const json = JSON.parse((await here.half('plan', file, ...half, '--json')).stdout)
    expect(json).toMatchObject({
      status: 'error',
      exit: 1,
      error: { code: 'helper/missing', side: 'destination' },
    })
    expect(json.result.reached).toMatchObject({
      side: 'source',
      devices: [{ device: 'uart', id: EDU, migratable: false }],
      blockers: [{ code: 'generic-driver', side: 'source', device: 'uart' }],
    })
  })
  it('a helper that dies when it is asked: what the other host has, and the reason', async () => {
    const [here, file] = onLab(MDEV)
    const dying = join(here.folder, 'dying-helper')
    writeFileSync(
      dying,
      `#!/bin/sh\n[ "$1" = --serve ] || exit 1\nread -r line\nprintf '%s\\n' '${HELLO}'\nread -r line\nexit 3\n`,
      { mode: 0o755 },
    )
    const run = await here.half('plan', file, '--set', `destination.helper=${dying}`, '--json')
    const { error, exit, result } = JSON.parse(run.stdout)
    expect([exit, error.code, error.side]).toEqual([1, 'helper/died', 'destination'])
    expect(result.reached).toMatchObject({ side: 'source', devices: [{ migratable: true }] })
  })
  it('both out of reach: both reasons at once', async () => {
    const [here, file] = onLab(MDEV)
    const none = (['source', 'destination'] as const).flatMap((side) => [
      '--set',
      `${side}.helper=/nonexistent/${side}`,
    ])
    const { error, result } = JSON.parse((await here.half('plan', file, ...none, '--json')).stdout)
    expect(result).toBeNull()
    expect(error.reasons).toMatchObject([{ side: 'source' }, { side: 'destination' }])
  })
  it('tells the helper the profile’s simulated devices', async () => {
    const [here] = onLab('', reply([simulated('vgpu', 'mdev'), simulated('nic', 'function')]))
    const { exitCode, stdout } = await here.ferry('plan', 'profiles/quickstart.yaml')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('sim-mdevs')
    const asked = here.requests().find((request) => request.op === 'inventory')!
    expect((asked.params['sim'] as { name: string }[]).map((entry) => entry.name)).toEqual(['vgpu', 'nic'])
  })
  it('--explain says all that was weighed, and that there is no sample', async () => {
    const [here, file] = onLab(MDEV)
    const { exitCode, stdout } = await here.ferry('plan', file, '--explain')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('uart: pinned in type1-mdevs (type1)')
    expect(stdout).toMatch(/not +iommu \(not-for-mdev\)/u)
    expect(stdout).toMatch(/costs +exact to pages of 4 KiB/u)
    expect(stdout).toContain('SAMPLE\n  none:')
    const bad = await here.ferry('plan', file, '--sample', 'nosuch')
    expect(bad.exitCode).toBe(2)
    expect(bad.stderr).toContain('there is no run nosuch')
    expect((await here.ferry('plan', file, '--bandwidth', 'fast')).exitCode).toBe(2)
  })
  it('finds the dirty-log of the profile, and judges by it at the bandwidth given', async () => {
    const trackers = [{ tracker: 'pinned:sim-mdevs', pages: 2048, onlyPages: 2000, elapsedUs: 1 }]
    const { ferry, runs, start } = scene({
      source: {
        dirty: Array(2).fill({ ok: { elapsedUs: 1, trackers, unionPages: 2100, unionBytes: '8601600' } }),
      },
    })
    expect((await start('dirty-log', '--rounds', '2', '--interval', '5ms')).exitCode).toBe(0)
    const [journal] = runs()
    const run = journal!.replace('.ndjson', '')
    const explained = await start('plan', '--explain', '--bandwidth', '1MiB/s')
    expect(explained.exitCode).toBe(0)
    expect(explained.stdout).toContain(`dirty-log ${run}, `)
    expect(explained.stdout).toMatch(/pinned:sim-mdevs .* 2 048 +2 048 +2 048 +2 000 +every read/u)
    expect(explained.stdout).toContain('estimate at 1.00 MiB/s, ')
    expect(explained.stdout).toContain('does NOT fit the limit')
    const { result } = JSON.parse((await start('plan', '--json')).stdout)
    expect(result.plan.choices.map((choice: { device: string }) => choice.device)).toEqual(['vgpu', 'nic'])
    expect(result.sample).toMatchObject({ run, misfits: [], rounds: 2, estimate: { assumed: true } })
    expect(result.sample.trackers[0].pages).toEqual({ min: 2048, median: 2048, max: 2048 })
    // A run of another profile is only taken when it is named, and what does not fit is said.
    const other = await start('plan', '--set', 'name=other', '--explain')
    expect(other.stdout).toContain('SAMPLE\n  none:')
    const named = await start('plan', '--set', 'name=other', '--sample', run)
    expect(named.stdout).toContain('it does not match this plan: another profile: quickstart')
    expect((await ferry('report', run)).exitCode).toBe(0)
  })
  it('--set lays a value over the profile', async () => {
    const [here, file] = onLab(MDEV)
    const { exitCode, stdout } = await here.ferry('plan', file, '--set', 'devices.uart.tracker=iommu')
    expect(exitCode).toBe(3)
    expect(stdout).toContain('[plan/tracker-unavailable]')
  })
})
