/** A run that belongs to no terminal: started in the background, held, asked, set, cut over, cancelled by a script. */
import { readFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply, CutoverReply } from '../../src/protocol/protocol.js'
import { until } from '../support/until.js'
import { device, workload, type Sim } from '../support/workload.js'
import { isRoot, TwoHosts } from './hosts.js'

describe.runIf(isRoot)('a scripted cutover between two hosts', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeAll(async () => {
    hosts = await TwoHosts.up()
  })
  afterAll(() => hosts.down())

  const profile = (more: Record<string, unknown> = {}, migration: object = {}, sim: Partial<Sim> = {}) =>
    hosts.profile({
      ...workload([device('nic', sim)], { name: 'scripted' }),
      ...hosts.sides({ destination: { then: 'close' } }),
      transport: { streams: 1, maxStreams: 2, keepalive: '3s' },
      ...more,
      migration: {
        downtimeLimit: '10s',
        precopy: { rounds: 20, time: '20s' },
        hold: 'before-cutover',
        ...migration,
      },
    })

  const detached = async (file: string, ...flags: string[]): Promise<string> => {
    const started = await hosts.json('migrate', file, '--detach', ...flags)
    expect(started.exit, started.stdout + started.stderr).toBe(EXIT.done)
    return started.envelope?.result.run
  }
  const held = async (run: string) => {
    const waited = await hosts.json('await', run, '--condition', 'held', '--timeout', '60s')
    expect(waited.exit, waited.stdout + waited.stderr).toBe(EXIT.done)
  }
  /** Waits for the end; the exit code is the run's own. */
  const ended = (run: string) => hosts.json('await', run, '--condition', 'ended', '--timeout', '60s')

  it('is started, held while it converges, tuned, and cut over', async () => {
    const run = await detached(profile())
    await held(run)
    const listed = await hosts.json('list')
    expect(JSON.stringify(listed.envelope?.result)).toContain(run)
    const first = hosts.journal(run).records.length
    await hosts.journalWith('rounds during the hold', ({ records }) => records.length > first + 6)
    for (const [key, value] of [
      ['bandwidth', '200MiB/s'],
      ['streams', '2'],
      ['downtime-limit', '8s'],
    ]) {
      const set = await hosts.json('set', run, key ?? '', value ?? '')
      expect(set.exit, set.stdout + set.stderr).toBe(EXIT.done)
    }
    const refused = await hosts.json('set', run, 'streams', '3')
    expect(refused.exit, refused.stdout).not.toBe(EXIT.done)
    const status = await hosts.ferry(['status', run]).ended
    expect(status.stdout).toMatch(/HELD before-cutover/u)
    expect(status.stdout).toMatch(/blackout/u)
    const cutover = await hosts.json('cutover', run)
    expect(cutover.exit, cutover.stdout + cutover.stderr).toBe(EXIT.done)
    const over = await ended(run)
    expect(over.exit, over.stdout + over.stderr).toBe(EXIT.done)
    const journal = hosts.journal(run)
    const check = journal.answers('destination', 'check').at(-1)?.reply as CheckReply
    expect([check.lostPages, check.lost]).toEqual([0, []])
    const { blackout, forecast } = journal.answers('source', 'cutover').at(-1)?.reply as CutoverReply
    expect(blackout.totalUs).toBeGreaterThan(0)
    expect(forecast?.lowUs).toBeLessThanOrEqual(forecast?.expectedUs ?? 0)
    expect(forecast?.expectedUs).toBeLessThanOrEqual(forecast?.highUs ?? 0)
    const report = await hosts.ferry(['report', run]).ended
    expect(report.stdout).toMatch(/forecast/iu)
    const events = await hosts.ferry(['events', run]).ended
    const lines = events.stdout.split('\n').filter((line) => line !== '')
    expect(lines.map((line) => JSON.parse(line).body.type)).toContain('hold')
  })

  it('refuses a cutover that would pass the limit, stays held, and cuts over once it fits', async () => {
    // All memory is hashed in the blackout, so that a millisecond can never do.
    const precopy = { rounds: 3, time: '20s' }
    const run = await detached(profile({}, { downtimeLimit: '1ms', verify: 'full', precopy }))
    await held(run)
    const refused = await hosts.json('cutover', run)
    expect(refused.exit, refused.stdout + refused.stderr).toBe(EXIT.downtimeLimit)
    const within = await hosts.json('cutover', run, '--within', '300ms')
    expect(within.exit, within.stdout + within.stderr).toBe(EXIT.downtimeLimit)
    await held(run)
    expect((await hosts.json('set', run, 'downtime-limit', '10s')).exit).toBe(EXIT.done)
    const at = new Date(Date.now() + 1500).toISOString()
    expect((await hosts.json('cutover', run, '--at', at)).exit).toBe(EXIT.done)
    expect((await ended(run)).exit).toBe(EXIT.done)
    const released = hosts
      .journal(run)
      .records.find(({ body }) => body.type === 'hold' && body.state === 'released')
    expect(Date.parse(released?.time ?? '')).toBeGreaterThanOrEqual(Date.parse(at))
  })

  it('is cancelled while it is held, and when its time is over', async () => {
    const run = await detached(profile())
    await held(run)
    expect((await hosts.json('cancel', run)).exit).toBe(EXIT.done)
    expect((await ended(run)).exit).toBe(EXIT.cancelled)
    const late = await detached(profile({}, { holdTimeout: '500ms', holdEnd: 'cancel' }))
    expect((await ended(late)).exit).toBe(EXIT.cancelled)
    const cut = await detached(profile({}, { holdTimeout: '500ms', holdEnd: 'cutover' }))
    expect((await ended(cut)).exit).toBe(EXIT.done)
  })

  it.each(['after-pin', 'after-dirty-log'] as const)('holds %s', async (point) => {
    const run = await detached(profile({}, { hold: null }), '--hold-at', point)
    await held(run)
    expect(hosts.journal(run).intents('source', 'precopy')).toEqual([])
    expect((await hosts.json('cutover', run)).exit).toBe(EXIT.done)
    expect((await ended(run)).exit).toBe(EXIT.done)
  })

  it('runs hooks on all three hosts, also in the blackout, whose time is its own part', async () => {
    const note = (at: string, on: string, more: object = {}) => ({
      name: `${at}-${on}`,
      at,
      on,
      command: [
        '/bin/sh',
        '-c',
        `echo "$$FERRY_POINT $$(ip -br address | grep -c data) $$FERRY_RUN" >> ${hosts.folder}/hooks`,
      ],
      timeout: '5s',
      ...more,
    })
    const hooks = [
      note('pre-pin', 'ferry'),
      note('post-pin', 'source'),
      note('post-dirty-log', 'destination'),
      note('pre-cutover', 'source'),
      ...(['post-quiesce', 'post-stop', 'pre-resume'] as const).map((at) =>
        note(at, 'ferry', { inBlackout: true }),
      ),
      note('post-commit', 'destination', { onFailure: 'warn' }),
    ]
    const run = await detached(profile({ hooks }, { hold: null, downtimeLimit: '30s' }))
    const over = await ended(run)
    expect(over.exit, over.stdout + over.stderr).toBe(EXIT.done)
    const said = readFileSync(join(hosts.folder, 'hooks'), 'utf8').trim().split('\n')
    expect(said.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'pre-pin 0',
      'post-pin 1',
      'post-dirty-log 1',
      'pre-cutover 1',
      'post-quiesce 0',
      'post-stop 0',
      'pre-resume 0',
      'post-commit 1',
    ])
    expect(new Set(said.map((line) => line.split(' ')[2]))).toEqual(new Set([run]))
    const { blackout } = hosts.journal(run).answers('source', 'cutover').at(-1)?.reply as CutoverReply
    expect(blackout.hooksUs).toBeGreaterThan(0)
    expect(blackout.totalUs).toBeGreaterThanOrEqual(blackout.hooksUs ?? 0)
  })

  it.each(['pre-cutover', 'post-stop'] as const)('goes back when a hook at %s says no', async (at) => {
    const inBlackout = at === 'post-stop'
    const hooks = [
      {
        name: 'no',
        at,
        inBlackout,
        timeout: '5s',
        command: ['/bin/sh', '-c', 'echo not tonight >&2; exit 3'],
      },
    ]
    const run = await detached(profile({ hooks }, { hold: null, downtimeLimit: '30s' }))
    const over = await ended(run)
    expect(over.exit, over.stdout + over.stderr).toBe(EXIT.rolledBack)
    expect(JSON.stringify(hosts.journal(run).end())).toContain('not tonight')
    const states = hosts.journal(run).states('source', 'nic')
    expect(states.at(-1) ?? 'RUNNING').toBe('RUNNING')
  })

  it('is told what is wrong before it goes into the background', async () => {
    const blocked = await hosts.json(
      'migrate',
      profile({ trackers: { forbidAll: true } }, {}, { trackers: ['all'] }),
      '--detach',
    )
    expect([EXIT.usage, EXIT.blocked]).toContain(blocked.exit)
    const missing = await hosts.json('migrate', '/nonexistent.yaml', '--detach')
    expect(missing.exit).toBe(EXIT.usage)
  })

  it('says where a run stands whose ferry was killed', async () => {
    const run = await detached(profile())
    await held(run)
    const start = hosts.journal(run).records[0]?.body
    const pid = start?.type === 'run-start' ? (start.pid ?? 0) : 0
    expect(pid).toBeGreaterThan(0)
    process.kill(pid, 'SIGKILL')
    await until('the end of the helpers', () => !existsSync(`/proc/${pid}`))
    const after = await hosts.ferry(['status', run]).ended
    expect(after.stdout + after.stderr).toMatch(/recover/u)
    const recovered = await hosts.json('recover', run, '--undo')
    expect([EXIT.rolledBack, EXIT.done, EXIT.needsPerson]).toContain(recovered.exit)
  })
})
