/** Links and hosts that die around COMMIT. What is where afterwards, and what brings it back together. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { Sim } from '../support/workload.js'
import { cutProfile } from './cut-profile.js'
import { isRoot, TwoHosts } from './hosts.js'

describe.runIf(isRoot)('links that die around COMMIT', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeEach(async () => {
    hosts = await TwoHosts.up()
  })
  afterEach(() => hosts.down())

  const profile = (sim: Partial<Sim> = {}, more: Record<string, unknown> = {}) => cutProfile(hosts, sim, more)

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
})
