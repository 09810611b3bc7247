/** A run that is asked and steered from other terminals, and one that has none. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { said, scene, type Scene } from '../support/fake-scene.js'

const FITS = [1000]
const NEVER_FITS = [900_000_000]

async function held(forecasts: readonly number[], ...flags: string[]): Promise<{ here: Scene; run: string }> {
  const here = scene({ forecasts })
  const started = await here.start('migrate', '--detach', '--hold', ...flags)
  expect(started.stderr).toContain('started in the background')
  expect(started.exitCode).toBe(0)
  const run = started.stdout.trim()
  expect(run).toMatch(/^\d{8}T\d{6}-[0-9a-f]{4}$/u)
  return { here, run }
}
const json = (text: string) => JSON.parse(text).result

describe('ferry migrate --detach', () => {
  it('goes on without its terminal, is held, continued, and moves the workload', async () => {
    const { here, run } = await held(FITS)
    const waited = await here.ferry('await', run, '--condition', 'held', '--timeout', '20s')
    expect(waited.exitCode).toBe(0)
    const status = await here.ferry('status', 'last', '--json')
    expect(json(status.stdout)).toMatchObject({
      run,
      state: 'held',
      live: true,
      status: { held: { point: 'before-cutover' }, forecast: { expectedUs: 1000, fits: true } },
    })
    expect((await here.ferry('status')).stdout).toContain('HELD before-cutover')
    const list = json((await here.ferry('list', '--json')).stdout)
    expect(list.runs).toMatchObject([{ run, state: 'held', held: 'before-cutover' }])
    const events = here.ferry('events', run, '--follow')
    const cutover = await here.ferry('cutover', run)
    expect(cutover.stdout).toContain('continued with its cutover')
    expect(cutover.exitCode).toBe(0)
    const committed = await here.ferry('await', run, '--condition', 'committed', '--timeout', '20s')
    expect(committed.exitCode).toBe(0)
    expect((await here.ferry('await', run, '--condition', 'ended', '--timeout', '20s')).stdout).toContain(
      'done',
    )
    const lines = (await events).stdout.split('\n').map((line) => JSON.parse(line))
    expect(lines[0].body.type).toBe('run-start')
    expect(lines.at(-1).body.type).toBe('run-end')
    expect(lines.map(({ seq }: { seq: number }) => seq)).toEqual(
      lines.map(({ seq }: { seq: number }) => seq).toSorted((a: number, b: number) => a - b),
    )
    expect(JSON.stringify(lines)).toContain('(not kept)')
    expect(readFileSync(join(here.stateDir, 'runs', `${run}.log`), 'utf8')).toContain('done and verified')
    const report = await here.ferry('report', run)
    expect(report.stdout).toContain('held before-cutover')
    expect(report.stdout).toContain('cutover asked for: continued')
  })

  it('tells in the foreground what kept the run from beginning, and leaves nothing', async () => {
    const here = scene()
    const blocked = await here.start('migrate', '--detach', '--set', 'devices.0.tracker=iommu')
    expect(blocked.exitCode).toBe(3)
    expect(blocked.stderr).toContain('error[plan/blocked]')
    expect(here.runs()).toEqual([])
    const bad = await here.start('migrate', '--detach', '--set', 'nonsense=1')
    expect(bad.exitCode).toBe(2)
    expect(bad.stderr).toContain('nonsense')
    const foreground = await here.start('migrate', '--set', 'nonsense=1')
    expect(bad.stderr).toBe(foreground.stderr)
    const asJson = await here.start('migrate', '--detach', '--json', '--set', 'devices.0.tracker=iommu')
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      status: 'error',
      exit: 3,
      error: { code: 'plan/blocked' },
    })
  })

  it('takes the profile from stdin', async () => {
    const here = scene()
    const file = join(here.stateDir, '..', 'copy.yaml')
    writeFileSync(file, readFileSync('profiles/quickstart.yaml'))
    const started = await here.startFrom(file, 'migrate', '-', '--detach')
    expect(started.stderr).toContain('started in the background')
    const ended = await here.ferry('await', started.stdout.trim(), '--condition', 'ended', '--timeout', '20s')
    expect(ended.stdout).toContain('done')
  })
})

describe('ferry cutover', () => {
  it('is refused while the blackout would pass the limit, exit 7, and the run stays held', async () => {
    const { here, run } = await held(NEVER_FITS, '--max-rounds', '3')
    await here.ferry('await', run, '--condition', 'held')
    const refused = await here.ferry('cutover', run)
    expect(refused.exitCode).toBe(7)
    expect(refused.stderr).toContain('error[cutover/forecast]')
    const window = await here.ferry('cutover', run, '--within', '100ms', '--json')
    expect(window.exitCode).toBe(7)
    expect(json(window.stdout)).toMatchObject({ answer: 'refused', expectedUs: 900_000_000 })
    expect(json((await here.ferry('status', run, '--json')).stdout).state).toBe('held')
    const cancelled = await here.ferry('cancel', run, '--wait')
    expect(cancelled.exitCode).toBe(0)
    expect(here.requests()).not.toContain('source cutover')
    expect(here.requests()).toContain('source rollback')
    const after = await here.ferry('cutover', run)
    expect([after.exitCode, after.stderr.includes('run/over')]).toEqual([1, true])
    const never = await here.ferry('await', run, '--condition', 'committed')
    expect(never.exitCode).toBe(4)
  })

  it('continues once a raised limit makes it fit', async () => {
    const { here, run } = await held(NEVER_FITS, '--max-rounds', '3')
    await here.ferry('await', run, '--condition', 'held')
    const waiting = here.ferry('cutover', run, '--within', '20s')
    const set = await here.ferry('set', run, 'downtime-limit', '1000s')
    expect(set.exitCode).toBe(0)
    expect((await waiting).exitCode).toBe(0)
    expect((await here.ferry('await', run, '--condition', 'ended')).stdout).toContain('done')
    expect(here.requests()).toContain('source tune')
    expect((await here.ferry('report', run)).stdout).toContain('set downtime-limit to 1000000ms')
  })

  it('at a time that has passed is bad usage, before the run is asked', async () => {
    const here = scene()
    const { exitCode, stderr } = await here.ferry('cutover', 'last', '--at', '2001-01-01T00:00:00Z')
    expect([exitCode, stderr.includes('has passed')]).toEqual([2, true])
  })
})

describe('a hold that no one ends', () => {
  it('cancels by its watchdog, exit 4', async () => {
    const { exitCode, stderr } = await scene().start(
      'migrate',
      '--hold-at',
      'after-pin',
      '--hold-timeout',
      '150ms',
    )
    expect(exitCode).toBe(4)
    expect(stderr).toContain('error[hold/timed-out]')
  })

  it('cuts over when told to and it fits, and ends 7 when it does not', async () => {
    const flags = ['--hold', '--hold-timeout', '150ms', '--set', 'migration.holdEnd=cutover']
    expect((await scene({ forecasts: FITS }).start('migrate', ...flags)).exitCode).toBe(0)
    const tooLong = await scene({ forecasts: NEVER_FITS }).start('migrate', ...flags, '--max-rounds', '2')
    expect(tooLong.exitCode).toBe(7)
    expect(tooLong.stderr).toContain('error[limit/hold]')
  })
})

describe('ferry status --watch', () => {
  it('follows a run to its end, a line for each event in a pipe', async () => {
    const { here, run } = await held(FITS)
    const watching = here.ferry('status', run, '--watch')
    await said(watching, /HELD before-cutover/u)
    expect((await here.ferry('cutover', run)).exitCode).toBe(0)
    const { exitCode, stderr, stdout } = await watching
    expect(exitCode).toBe(0)
    expect(stderr).toContain('run ended: done')
    expect(stdout).toContain('ended, done')
  })
})

describe('a runtime folder that goes with its user’s last session', () => {
  it('takes no detached run with it: it is asked and continued as before', async () => {
    const { here, run } = await held(FITS)
    await here.ferry('await', run, '--condition', 'held', '--timeout', '20s')
    const socket = here.socketOf(run)
    rmSync(dirname(socket), { recursive: true })
    const list = async () => json((await here.ferry('list', '--json')).stdout).runs[0].state
    // A process that drives it is there, so it is never called dead, whether or not it listens again already.
    expect(await list()).toBe('held')
    await vi.waitFor(
      () => expect(existsSync(join(here.stateDir, 'run', 'runs', `${run}.sock`))).toBe(true),
      10_000,
    )
    expect((await here.ferry('status', run)).stdout).toContain('HELD before-cutover')
    expect((await here.ferry('cutover', run)).exitCode).toBe(0)
    const ended = await here.ferry('await', run, '--condition', 'ended', '--timeout', '20s')
    expect(ended.stdout).toContain('done')
    expect(existsSync(socket)).toBe(false)
  })

  it('and where the run can listen nowhere, its journal still tells how it stands', async () => {
    const { here, run } = await held(FITS)
    await here.ferry('await', run, '--condition', 'held', '--timeout', '20s')
    writeFileSync(join(here.stateDir, 'run'), 'no folder')
    rmSync(dirname(here.socketOf(run)), { recursive: true })
    const pid = here.pidOf(run)
    const status = await here.ferry('status', run)
    expect(status.stdout).toContain('HELD before-cutover')
    expect(status.stdout).toContain(`kill -INT ${pid}`)
    const cutover = await here.ferry('cutover', run)
    expect([cutover.exitCode, cutover.stderr]).toEqual([
      9,
      expect.stringContaining('error[run/out-of-reach]'),
    ])
    process.kill(pid, 'SIGINT')
    await vi.waitFor(
      async () => expect((await here.ferry('status', run)).stdout).toContain('ended, cancelled'),
      20_000,
    )
  })
})

describe('a ferry that dies', () => {
  it('leaves a run that says so, and how to finish it', async () => {
    const { here, run } = await held(FITS)
    await here.ferry('await', run, '--condition', 'held')
    const waiting = here.ferry('await', run, '--condition', 'ended')
    process.kill(here.pidOf(run), 'SIGKILL')
    const died = await waiting
    expect(died.exitCode).toBe(9)
    expect(died.stderr).toContain(`ferry recover ${run}`)
    expect((await here.ferry('status', run)).stdout).toContain('DIED')
    expect((await here.ferry('cancel', run)).exitCode).toBe(9)
    expect(json((await here.ferry('list', '--json')).stdout).runs[0].state).toBe('died')
  })
})

describe('a run in the foreground', () => {
  it('does not begin when its socket cannot be made, and leaves no journal', async () => {
    const here = scene()
    writeFileSync(join(here.stateDir, '..', 'file'), '')
    const { exitCode, stderr } = await here.startIn(
      { XDG_RUNTIME_DIR: join(here.stateDir, '..', 'file') },
      'migrate',
    )
    expect([exitCode, stderr.includes('error[control/folder]')]).toEqual([1, true])
    expect(here.requests().some((line) => line.includes('claim'))).toBe(false)
    expect(here.runs()).toEqual([])
  })

  it('can be asked and cancelled from another terminal too', async () => {
    const here = scene({ source: { precopy: [{ hold: true }] } })
    const running = here.start('migrate')
    await said(running, /send the memory/u)
    const late = await here.ferry('await', 'last', '--condition', 'held', '--timeout', '50ms')
    expect([late.exitCode, late.stderr.includes('await/timeout')]).toEqual([1, true])
    expect((await here.ferry('cancel', 'last')).exitCode).toBe(0)
    expect((await running).exitCode).toBe(4)
    expect(
      existsSync(join(here.stateDir, 'ferry', 'runs', `${here.runs()[0]?.replace('.ndjson', '')}.sock`)),
    ).toBe(false)
  })
})
