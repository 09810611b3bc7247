import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { PROTOCOL_VERSION } from '../../src/protocol/versions.js'
import { scene, said } from '../support/fake-scene.js'

const SLOW = {
  ok: {
    reason: 'rounds',
    rounds: 30,
    bytes: '1',
    remainingBytes: '1073741824',
    bytesPerSecond: '1',
    estimatedBlackoutUs: 9_000_000,
  },
}

describe('ferry migrate', () => {
  it('moves the workload; the report read back is the one that was shown', async () => {
    const { ferry, requests, runs, start } = scene()
    const { exitCode, stderr, stdout } = await start('migrate')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('done and verified: the destination runs')
    expect(stderr).toContain('run ended: done')
    expect(requests().slice(-4).sort()).toEqual([
      'destination eof',
      'destination release',
      'source eof',
      'source release',
    ])
    expect(runs()).toHaveLength(1)
    const report = await ferry('report', 'last')
    expect(report.exitCode).toBe(0)
    expect(report.stdout).toBe(stdout)
  })

  it('gives scripts one envelope, and the same report later', async () => {
    const { ferry, start } = scene()
    const { exitCode, stdout } = await start('migrate', '--json')
    expect(exitCode).toBe(0)
    const envelope = JSON.parse(stdout)
    expect(envelope).toMatchObject({ command: 'migrate', status: 'ok', exit: 0, result: { outcome: 'done' } })
    expect(envelope.result.report.memoryBytes).toBe('536870912')
    const later = JSON.parse((await ferry('report', envelope.result.run, '--json')).stdout)
    expect(later.result.report).toEqual(envelope.result.report)
  })

  it('sends the profile’s limits, and what the command line lays over them', async () => {
    const { start, runs, stateDir } = scene()
    await start(
      'migrate',
      '--downtime-limit',
      '50ms',
      '--max-rounds',
      '7',
      '--max-time',
      '9s',
      '--verify',
      'none',
    )
    const journal = readFileSync(join(stateDir, 'runs', runs()[0] ?? ''), 'utf8')
    const precopy = journal.split('\n').find((line) => line.includes('"op":"precopy"'))
    expect(JSON.parse(precopy ?? '').body.params).toMatchObject({
      downtimeLimitMs: 50,
      maxRounds: 7,
      maxTimeMs: 9000,
      verify: false,
    })
  })

  it('--dry-run shows the plan and changes nothing', async () => {
    const { requests, start } = scene()
    const { exitCode, stdout } = await start('migrate', '--dry-run')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('vgpu')
    expect(requests().some((line) => line.includes('claim'))).toBe(false)
  })

  it('blocked, it names all blockers, exit 3, with nothing opened and no run begun', async () => {
    const { requests, runs, start } = scene()
    const blocked = ['--set', 'devices.0.tracker=iommu', '--set', 'devices.1.tracker=pinned']
    const { exitCode, stderr, stdout } = await start('migrate', ...blocked)
    expect(exitCode).toBe(3)
    expect(stderr).toContain('vgpu')
    expect(stderr).toContain('nic')
    expect(stdout).toBe('')
    expect(requests().some((line) => line.includes('claim'))).toBe(false)
    expect(runs).toThrow('ENOENT')
  })

  it.each([
    ['a limit that is no time', ['--downtime-limit', '50'], 'a time needs a unit'],
    ['a limit below a millisecond', ['--downtime-limit', '10us'], 'whole number of milliseconds'],
    ['an unknown choice', ['--verify', 'some'], 'verify'],
  ])('refuses %s, exit 2', async (_, flags, named) => {
    const { exitCode, stderr } = await scene().start('migrate', ...flags)
    expect(exitCode).toBe(2)
    expect(stderr).toContain(named)
  })

  it('gives up when the rest does not fit, exit 7, source running', async () => {
    const { requests, start } = scene({ source: { precopy: [SLOW] } })
    const { exitCode, stderr, stdout } = await start('migrate')
    expect(exitCode).toBe(7)
    expect(stdout).toContain('the downtime limit would be passed; the source is running')
    expect(stderr).toContain('error[limit/not-converged]')
    expect(requests()).not.toContain('source cutover')
    expect(requests()).toContain('source rollback')
  })

  it('rolls back when the destination’s helper dies, exit 5', async () => {
    const { start } = scene({ destination: { map: [{ exit: 3 }] } })
    const { exitCode, stderr } = await start('migrate')
    expect(exitCode).toBe(5)
    expect(stderr).toContain('last words')
  })

  it('asks for a person when the source’s helper dies with its devices, exit 6', async () => {
    const { start } = scene({ source: { precopy: [{ exit: 3 }] } })
    const { exitCode, stderr } = await start('migrate')
    expect(exitCode).toBe(6)
    expect(stderr).toContain('vgpu, nic')
  })

  it('of another version, or missing, the helper is named before anything begins', async () => {
    const { runs, start } = scene({
      destination: { hello: [{ ok: { protocol: PROTOCOL_VERSION + 1, version: '9.0.0' } }] },
    })
    const other = await start('migrate')
    expect(other.exitCode).toBe(8)
    expect(other.stderr).toContain(`version ${PROTOCOL_VERSION + 1}`)
    expect(runs).toThrow('ENOENT')
    const missing = await start('migrate', '--helper', '/nonexistent/ferry-helper')
    expect(missing.exitCode).toBe(1)
    expect(missing.stderr).toContain('/nonexistent/ferry-helper: does not exist')
  })

  it('does not begin without a journal', async () => {
    const { requests, start } = scene()
    const { exitCode, stderr } = await start('migrate', '--state-dir', '/dev/null/state')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('journal/create')
    expect(requests().some((line) => line.includes('claim'))).toBe(false)
  })
})

describe('Ctrl-C', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'once (%s) cancels, waits, and ends 4',
    async (signal) => {
      const { requests, start } = scene({ source: { precopy: [{ hold: true }] } })
      const running = start('migrate')
      await said(running, /send the memory/u)
      running.kill(signal)
      const { exitCode, stdout } = await running
      expect(exitCode).toBe(4)
      expect(stdout).toContain('cancelled: the source is running, and Ferry has checked it')
      expect(requests()).toContain('destination cancel')
      const after = requests().slice(requests().indexOf('source cancel'))
      expect(after.indexOf('source rollback')).toBeLessThan(after.indexOf('source status'))
    },
  )

  it('twice stops waiting, says how to come back, and ends 9', async () => {
    const { ferry, runs, start } = scene({ source: { precopy: [{ silent: true }] } })
    const running = start('migrate')
    await said(running, /send the memory/u)
    running.kill('SIGINT')
    await said(running, /cancel/iu)
    running.kill('SIGINT')
    const { exitCode, stderr } = await running
    expect(exitCode).toBe(9)
    const run = (runs()[0] ?? '').replace('.ndjson', '')
    expect(stderr).toContain(`ferry report ${run}`)
    const report = await ferry('report', run, '--json')
    expect(JSON.parse(report.stdout).result).toMatchObject({
      run,
      outcome: 'unknown',
      report: { cancelAsked: true },
    })
  })

  it('before the run has begun changes nothing, and ends 4', async () => {
    const { requests, runs, start } = scene({ source: { inventory: [{ delayMs: 20_000 }] } })
    const running = start('migrate')
    await vi.waitFor(() => expect(requests()).toContain('- inventory'), { timeout: 10_000, interval: 10 })
    running.kill('SIGINT')
    const { exitCode } = await running
    expect(exitCode).toBe(4)
    expect(runs).toThrow('ENOENT')
  })
})
