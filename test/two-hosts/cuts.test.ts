/** Links that die before the stop: the source goes on running. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply, StatusReply } from '../../src/protocol/protocol.js'
import { until } from '../support/until.js'
import type { Sim } from '../support/workload.js'
import { cutProfile } from './cut-profile.js'
import { isRoot, TwoHosts } from './hosts.js'

describe.runIf(isRoot)('links that die before the stop', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeEach(async () => {
    hosts = await TwoHosts.up()
  })
  afterEach(() => hosts.down())

  const profile = (sim: Partial<Sim> = {}, more: Record<string, unknown> = {}, migration: object = {}) =>
    cutProfile(hosts, sim, more, migration)

  /** The source runs, as its helper says; neither host has a helper left. */
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

  it('a moved workload is whole', async () => {
    const moved = await hosts.json('migrate', profile())
    expect(moved.exit, moved.stdout + moved.stderr).toBe(EXIT.done)
    const check = hosts.journal().answers('destination', 'check').at(-1)?.reply as CheckReply
    expect([check.lostPages, check.lost]).toEqual([0, []])
  })
})
