/** Links that die at the worst moments. What is where afterwards, and what brings it back together. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply, StatusReply } from '../../src/protocol/protocol.js'
import { until } from '../support/until.js'
import { device, workload, type Sim } from '../support/workload.js'
import { isRoot, TwoHosts } from './hosts.js'

describe.runIf(isRoot)('links that die', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeEach(async () => {
    hosts = await TwoHosts.up()
  })
  afterEach(() => hosts.down())

  const profile = (sim: Partial<Sim> = {}, more: Record<string, unknown> = {}, migration: object = {}) =>
    hosts.profile({
      ...workload([device('nic', sim)], { name: 'cut' }),
      ...hosts.sides({ destination: { then: 'close' } }),
      transport: { keepalive: '2s', streams: 2 },
      ...more,
      migration: { downtimeLimit: '20s', precopy: { rounds: 20, time: '20s' }, ...migration },
    })

  /** The source runs and was seen to; neither host has a helper left. */
  const sourceCameBack = async () => {
    const status = hosts.journal().answers('source', 'status').at(-1)?.reply as StatusReply
    expect(status.devices.map(({ state }) => state)).toEqual(['RUNNING'])
    await until('the end of the helpers', () => true)
    expect(await hosts.helpers('a')).toEqual([])
  }

  it.each(['both', 'half'] as const)(
    'the data link in pre-copy, %s: the source goes on running',
    async (how) => {
      const run = hosts.ferry(['migrate', profile({}, {}, { bandwidth: '2MiB/s' }), '--json'])
      await hosts.journalWith('a round under way', (journal) =>
        journal.told('source', { event: 'round-start' }),
      )
      await hosts.cut('data', how)
      const ended = await run.ended
      expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.rolledBack)
      await sourceCameBack()
    },
  )

  it.each(['both', 'half'] as const)('the data link while held, %s', async (how) => {
    const run = hosts.ferry(['migrate', profile(), '--hold', '--json'])
    await hosts.journalWith('a hold', ({ records }) => records.some(({ body }) => body.type === 'hold'))
    await hosts.cut('data', how)
    const ended = await run.ended
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.rolledBack)
    await sourceCameBack()
  })

  it('the ssh connection to the source in pre-copy: it went back unseen, and recover finds that out', async () => {
    const run = hosts.ferry(['migrate', profile({}, {}, { bandwidth: '2MiB/s' }), '--json'])
    await hosts.journalWith('a round under way', (journal) =>
      journal.told('source', { event: 'round-start' }),
    )
    await hosts.cut('ssh-a')
    const ended = await run.ended
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.needsPerson)
    expect(ended.stdout).toContain('ferry recover')
    await hosts.mend('ssh-a')
    await until('the end of the source’s helper', async () => (await hosts.helpers('a')).length === 0)
    const recovered = await hosts.json('recover', 'last')
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.rolledBack)
    expect((await hosts.json('recover', 'last')).exit).toBe(EXIT.rolledBack)
  })

  it('the ssh connection to the destination in pre-copy', async () => {
    const run = hosts.ferry(['migrate', profile({}, {}, { bandwidth: '2MiB/s' }), '--json'])
    await hosts.journalWith('a round under way', (journal) =>
      journal.told('source', { event: 'round-start' }),
    )
    await hosts.cut('ssh-b')
    const ended = await run.ended
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.rolledBack)
    await sourceCameBack()
    // The destination's helper heard nothing of it over ssh, and went by itself.
    await until('the end of the destination’s helper', async () => (await hosts.helpers('b')).length === 0)
  })

  it('both links between COMMIT and its answer: exit 9, and recover finishes it', async () => {
    const run = hosts.ferry(['migrate', profile({ latency: { RUNNING: '3s' } }), '--json'])
    await hosts.journalWith('a commit', (journal) =>
      journal.told('source', { event: 'cutover', step: 'resume' }),
    )
    await Promise.all([hosts.cut('data'), hosts.cut('ssh-b')])
    const ended = await run.ended
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.unknown)
    const id = hosts.runs().at(-1) ?? ''
    expect(ended.stdout).toContain(id)
    // Neither side gave up what it has.
    expect(await hosts.helpers('a')).toHaveLength(1)
    expect(await hosts.helpers('b')).toHaveLength(1)
    // As long as the destination cannot be asked, nothing is done.
    const blind = await hosts.json('recover', id)
    expect(blind.exit, blind.stdout + blind.stderr).toBe(EXIT.unknown)
    await hosts.mend('ssh-b')
    const recovered = await hosts.json('recover', id)
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.done)
    expect(recovered.envelope?.result).toMatchObject({
      source: 'answers',
      destination: 'runs',
      did: 'settle',
    })
    expect([...(await hosts.helpers('a')), ...(await hosts.helpers('b'))]).toEqual([])
    const again = await hosts.json('recover', id)
    expect(again.exit, again.stdout + again.stderr).toBe(EXIT.done)
    expect(again.envelope?.result.did).toBe('nothing')
  })

  /** A hook after PREPARED and before COMMIT cuts both links, so that COMMIT is written and never arrives. */
  const cutBeforeCommit = () => ({
    hooks: [
      {
        name: 'cut',
        at: 'pre-resume',
        inBlackout: true,
        timeout: '5s',
        command: ['/bin/sh', '-c', hosts.cutCommand('data', 'ssh-b')],
      },
    ],
  })

  it('both links before COMMIT arrives: recover makes the destination give it up and the source run', async () => {
    const ended = await hosts.json('migrate', profile({}, cutBeforeCommit()))
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.unknown)
    await Promise.all([hosts.mend('data'), hosts.mend('ssh-b')])
    const recovered = await hosts.json('recover', 'last')
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.rolledBack)
    expect(recovered.envelope?.result ?? recovered.envelope?.error).toMatchObject({ did: 'go-back' })
    expect([...(await hosts.helpers('a')), ...(await hosts.helpers('b'))]).toEqual([])
  })

  it('and the source’s host with them: recover brings COMMIT to the destination, which runs', async () => {
    const ended = await hosts.json('migrate', profile({}, cutBeforeCommit()))
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.unknown)
    for (const pid of await hosts.helpers('a')) process.kill(pid, 'SIGKILL')
    await Promise.all([hosts.mend('data'), hosts.mend('ssh-b')])
    const recovered = await hosts.json('recover', 'last')
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.done)
    expect(recovered.envelope?.result).toMatchObject({ source: 'gone-committed', did: 'finish' })
    expect([...(await hosts.helpers('a')), ...(await hosts.helpers('b'))]).toEqual([])
  })

  it('the destination’s host after its commit: the source runs again only when told to', async () => {
    const run = hosts.ferry(['migrate', profile({ latency: { RUNNING: '3s' } }), '--json'])
    await hosts.journalWith('a commit', (journal) =>
      journal.told('source', { event: 'cutover', step: 'resume' }),
    )
    for (const pid of await hosts.helpers('b')) process.kill(pid, 'SIGKILL')
    const ended = await run.ended
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.unknown)
    const person = await hosts.json('recover', 'last')
    expect(person.exit, person.stdout + person.stderr).toBe(EXIT.needsPerson)
    const token: string = person.envelope?.result.choices[0].token
    const told = await hosts.json('recover', 'last', '--as', 'source', '--token', token)
    expect(told.exit, told.stdout + told.stderr).toBe(EXIT.rolledBack)
    expect([...(await hosts.helpers('a')), ...(await hosts.helpers('b'))]).toEqual([])
  })

  it('a moved workload is whole', async () => {
    const moved = await hosts.json('migrate', profile())
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
    const check = hosts.journal().answers('destination', 'check').at(-1)?.reply as CheckReply
    expect([check.lostPages, check.lost]).toEqual([0, []])
  })
})
