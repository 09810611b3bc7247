/** Who has the devices before and after: holders on two hosts, and what a destination does with what it got. */
import { execa } from 'execa'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply } from '../../src/protocol/protocol.js'
import { device, workload } from '../support/workload.js'
import { gone } from '../support/scene.js'
import { until } from '../support/until.js'
import { isRoot, TwoHosts } from './hosts.js'

const TAKE = fileURLToPath(new URL('../../profiles/examples/take-descriptors.c', import.meta.url))

describe.runIf(isRoot)('holders on two hosts', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeAll(async () => {
    hosts = await TwoHosts.up()
  })
  afterAll(() => hosts.down())

  const noneLeft = async () => {
    for (const host of ['a', 'b'] as const) await gone(...(await hosts.helpers(host)))
  }
  const moving = (
    from: 'a' | 'b',
    more: { source?: object; destination?: object; [key: string]: unknown } = {},
  ) => {
    const { destination, source, ...rest } = more
    return {
      ...workload(
        [
          device('nic'),
          device('vgpu', {
            model: 'mdev',
            trackers: ['pinned'],
            seed: 5,
            window: { iova: '8MiB', size: '2MiB' },
          }),
        ],
        { name: 'pair' },
      ),

      ...hosts.sides(
        { source: { from: 'holder', ...source }, destination: { then: 'hold', ...destination } },
        from,
      ),
      ...rest,
    }
  }

  it('goes from A to B and back three times, and ends where it began', async () => {
    const there = hosts.profile(moving('a', { releaseSource: 'on-commit' }), 'there.yaml')
    const back = hosts.profile(moving('b', { releaseSource: 'on-commit' }), 'back.yaml')
    const held = await hosts.json('hold', there)
    expect(held.exit, held.stderr).toBe(EXIT.done)
    expect(held.envelope?.result.devices.map(({ state }: { state: string }) => state)).toEqual([
      'RUNNING',
      'RUNNING',
    ])
    const pids: number[] = [held.envelope?.result.pid]
    for (const profile of [there, back, there, back, there, back]) {
      const moved = await hosts.json('migrate', profile)
      expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
      const check = hosts.journal().answers('destination', 'check').at(-1)?.reply as CheckReply
      expect([check.lostPages, check.lost]).toEqual([0, []])
      expect(check.writes).not.toBe('0')
    }
    // One holder on each side at any time: after the last move A's, and no one's on B.
    expect(await hosts.helpers('b')).toEqual([])
    const [holder, more] = await hosts.helpers('a')
    expect([typeof holder, more]).toEqual(['number', undefined])
    expect(pids).not.toContain(holder)
    const released = await hosts.json('release', '--hold', there)
    expect(released.exit, released.stderr).toBe(EXIT.done)
    await gone(holder ?? 0)
  })

  it('keeps the source stopped until it is released by hand', async () => {
    const profile = hosts.profile(moving('a'), 'by-hand.yaml')
    expect((await hosts.json('hold', profile)).exit).toBe(EXIT.done)
    const moved = await hosts.json('migrate', profile)
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
    const { run } = moved.envelope?.result ?? {}
    expect(await hosts.helpers('a')).toHaveLength(1)
    // It is not a holder any more that a run could start from: its devices are stopped for good.
    const again = await hosts.json('migrate', profile)
    expect(again.exit, again.stdout).not.toBe(EXIT.done)
    const released = await hosts.json('release', run)
    expect(released.envelope?.result.released, released.stdout + released.stderr).toBe(true)
    expect(await hosts.helpers('a')).toEqual([])
    expect((await hosts.json('release', run)).envelope?.result.released).toBe(false)
    expect((await hosts.json('release', '--hold', profile, '--side', 'destination')).exit).toBe(EXIT.done)
    expect(await hosts.helpers('b')).toEqual([])
  })

  it('goes back to holding after a run that was cancelled or refused, and is there for the next', async () => {
    const profile = hosts.profile(
      moving('a', {
        releaseSource: 'on-commit',
        destination: { then: 'close' },
        migration: { downtimeLimit: '1ms', precopy: { rounds: 3, time: '2s' } },
      }),
      'refused.yaml',
    )
    expect((await hosts.json('hold', profile)).exit).toBe(EXIT.done)
    const [holder] = await hosts.helpers('a')
    const refused = await hosts.json('migrate', profile)
    expect(refused.exit, refused.stdout + refused.stderr).toBe(EXIT.downtimeLimit)
    expect(await hosts.helpers('a')).toEqual([holder])
    expect(await hosts.helpers('b')).toEqual([])
    const moved = await hosts.json('migrate', profile, '--downtime-limit', '10s')
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
    expect([...(await hosts.helpers('a')), ...(await hosts.helpers('b'))]).toEqual([])
  })

  it('says that no one holds the workload', async () => {
    const profile = hosts.profile(moving('a'), 'nobody.yaml')
    const migrate = await hosts.json('migrate', profile)
    expect(migrate.exit).toBe(EXIT.error)
    expect(migrate.envelope?.error.code).toBe('holder/none')
    expect((await hosts.json('release', '--hold', profile)).envelope?.error.code).toBe('holder/none')
  })

  it('hands duplicates of the memory to one user and to no one else', async () => {
    const folder = join(hosts.folder, 'hand-out')
    mkdirSync(folder, { mode: 0o755 })
    const socket = join(folder, 'pair.sock')
    const profile = hosts.profile(moving('a', { handOut: { socket, uid: 4321 } }), 'hand-out.yaml')
    expect((await hosts.json('hold', profile)).exit).toBe(EXIT.done)
    const take = join(folder, 'take-descriptors')
    await execa('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', take, TAKE])
    const as = (uid: number) =>
      hosts.on('a', ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', take, socket])
    const taken = await as(4321)
    expect(taken.exitCode, taken.stderr).toBe(0)
    expect(taken.stdout).toMatch(
      /memory-ram \(memory\)\n\s+16777216 bytes at IOVA 0x0, first bytes [\da-f]{32}/u,
    )
    expect((await as(4322)).exitCode).not.toBe(0)
    expect((await hosts.json('release', '--hold', profile)).exit).toBe(EXIT.done)
    expect(existsSync(socket)).toBe(false)
  })

  it('starts a command with the descriptors as LISTEN_FDS has them', async () => {
    const said = join(hosts.folder, 'said')
    const script = `echo "$$LISTEN_FDS $$LISTEN_FDNAMES $$LISTEN_PID $$$$" > ${said}.part; readlink /proc/$$$$/fd/3 >> ${said}.part; mv ${said}.part ${said}`
    const profile = hosts.profile(
      {
        ...moving('a', {
          source: { from: 'open' },
          destination: { then: { exec: ['/bin/sh', '-c', script] } },
        }),
      },
      'exec.yaml',
    )
    const moved = await hosts.json('migrate', profile)
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
    await until('the command', () => existsSync(said))
    const [first = '', second] = readFileSync(said, 'utf8').split('\n')
    const [count, names, listenPid, pid] = first.split(' ')
    expect([count, names]).toEqual(['1', 'memory-ram'])
    expect(listenPid).toBe(pid)
    expect(second).toContain('memfd')
    // Its helper stays as long as the command does: mdev drivers pin pages through the process that mapped them.
    await noneLeft()
  })

  it('knows of a command that was started, whichever side lived: recover ends the run', async () => {
    const [driver, started] = [join(hosts.folder, 'driver'), join(hosts.folder, 'started')]
    const script = `kill -KILL $$(cat ${driver}); touch ${started}; exec sleep 5`
    const wait = `while kill -0 $$(cat ${driver}) 2>/dev/null; do sleep 0.01; done`
    const profile = hosts.profile(
      moving('a', {
        source: { from: 'open' },
        destination: { then: { exec: ['/bin/sh', '-c', script] } },
        releaseSource: 'on-commit',
        // The run is not over before the command has killed its driver, however slow the machine is.
        hooks: [{ name: 'wait', at: 'post-commit', command: ['/bin/sh', '-c', wait] }],
      }),
      'exec-killed.yaml',
    )
    const run = hosts.ferry(['migrate', profile, '--hold'])
    writeFileSync(driver, String(run.pid))
    await hosts.journalWith('a hold', ({ records }) => records.some(({ body }) => body.type === 'hold'))
    await hosts.json('cutover', 'last')
    expect((await run.ended).signal).toBe('SIGKILL')
    await until('the command', () => existsSync(started))
    const recovered = await hosts.json('recover', 'last')
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.done)
    expect(recovered.envelope?.result.destination).toBe('gone-settled')
    await noneLeft()
  })

  it('keeps the devices running when the command cannot be started, until recover finds it mended', async () => {
    const program = join(hosts.folder, 'workload.sh')
    const profile = hosts.profile(
      { ...moving('a', { source: { from: 'open' }, destination: { then: { exec: [program] } } }) },
      'exec-missing.yaml',
    )
    const moved = await hosts.json('migrate', profile)
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.needsPerson)
    expect(moved.envelope?.error.message).toMatch(/runs on the destination, but could not be handed over/u)
    expect(await hosts.helpers('b')).toHaveLength(1)
    writeFileSync(program, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    const recovered = await hosts.json('recover', 'last')
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.done)
    await noneLeft()
  })
})
