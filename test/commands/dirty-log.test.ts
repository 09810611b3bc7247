import { describe, expect, it } from 'vitest'
import { scene } from '../support/fake-scene.js'

/** A read of the trackers with this many pages logged. */
function read(pages: number): { ok: unknown } {
  const trackers = [
    { tracker: 'pinned:sim-mdevs', pages: 2048, elapsedUs: 5 },
    { tracker: 'device:nic', pages, elapsedUs: 5 },
  ]
  return { ok: { elapsedUs: 9, trackers, unionPages: 2048 + pages, unionBytes: `${(2048 + pages) * 4096}` } }
}

describe('ferry dirty-log', () => {
  it('shows each round by tracker with a chart, estimates, and puts everything back', async () => {
    const { requests, start } = scene({ source: { dirty: [read(100), read(200), read(400)] } })
    const { exitCode, stdout } = await start('dirty-log', '--rounds', '3', '--interval', '50ms')
    expect(exitCode).toBe(0)
    expect(requests().filter((line) => line === 'source dirty')).toHaveLength(3)
    expect(stdout).toMatch(/ROUND +AFTER +TRACKER +COVERS +PAGES +DIRTY +RATE/u)
    expect(stdout).toMatch(/1 .*pinned:sim-mdevs +vgpu +2 048 +8\.00 MiB +every read/u)
    expect(stdout).toMatch(/3 .*device:nic +nic +400 +1\.56 MiB/u)
    expect(stdout).toMatch(/device:nic {2}[▁-█]{3} /u)
    expect(stdout).toContain('estimate at 1.00 GiB/s (assumed, not measured; --bandwidth sets it)')
    expect(stdout).toContain('and 8.00 MiB in every round that no tracker tells apart')
    expect(requests().slice(-4)).toEqual(['source unmap', 'source status', 'source release', 'source eof'])
    expect(requests()).toContain('source untrack')
  })

  it('estimates with the bandwidth it is given, and says so', async () => {
    const { start } = scene()
    const { stdout } = await start(
      'dirty-log',
      '--rounds',
      '2',
      '--interval',
      '1ms',
      '--bandwidth',
      '2GiB/s',
      '--json',
    )
    const { estimate, report } = JSON.parse(stdout).result
    expect(estimate).toMatchObject({ bandwidth: String(2n * 1024n ** 3n), assumed: false })
    expect(report.dirtyReads).toHaveLength(2)
  })

  it.each([
    [['--interval', '1'], 'a time needs a unit'],
    [['--rounds', '0'], 'rounds'],
    [['--bandwidth', 'fast'], '--bandwidth fast'],
  ])('refuses %j, exit 2', async (flags, named) => {
    const { exitCode, stderr } = await scene().start('dirty-log', ...flags)
    expect(exitCode).toBe(2)
    expect(stderr).toContain(named)
  })

  it('a tracker that fails ends the run with its cause, source running', async () => {
    const error = { code: 'tracker/read', message: 'EIO', device: 'nic' }
    const { requests, start } = scene({ source: { dirty: [read(1), { error }] } })
    const { exitCode, stderr } = await start('dirty-log', '--interval', '1ms')
    expect(exitCode).toBe(5)
    expect(stderr).toContain('error[tracker/read]')
    expect(requests()).toContain('source untrack')
  })
})
