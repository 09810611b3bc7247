/** `ferry release RUN --give-up --dead SIDE`: what is abandoned without one of the hosts, and what stays owed. */
import { describe, expect, it } from 'vitest'
import type { Event, Outcome } from '../../src/journal/event.js'
import { readJournal, readWhatIsLeft } from '../../src/journal/read.js'
import { whyUnfinished } from '../../src/journal/unfinished.js'
import type { Role } from '../../src/protocol/protocol.js'
import { giveUpWithout } from '../../src/recovery/give-up.js'
import { recoverRun } from '../../src/recovery/recover.js'
import { releaseRun } from '../../src/recovery/release.js'
import { journal, leave, type Moment } from './left-journal.js'

function scene(moment: Moment, away: Role, outcome: Outcome | null = 'unknown') {
  const { bodies, pair } = leave({ moment, then: { kind: 'hold' }, dead: [] })
  const end: Event[] = outcome === null ? [] : [{ type: 'run-end', outcome, exit: 9, elapsedUs: 1 }]
  const { path, stateDir } = journal([...bodies, ...end])
  pair.away.add(away)
  const effects: string[] = []
  const giveUp = (dead: Role = away, agrees = true) =>
    giveUpWithout({
      ...{ saved: readWhatIsLeft(path), stateDir, version: '0', reach: pair.reach, dead },
      confirm: async (token, effect) => {
        expect(token).toMatch(/^[0-9a-f]{6}$/u)
        effects.push(effect)
        return agrees
      },
    })
  const recover = () => recoverRun({ saved: readWhatIsLeft(path), stateDir, version: '0', reach: pair.reach })
  const left = () => whyUnfinished(readJournal(path).records)
  const release = () => releaseRun(readJournal(path), stateDir, pair.reach, true)
  return { effects, giveUp, left, pair, recover, release }
}

describe('giving a run up without a host that is gone for good', () => {
  it('closes the other side, says what is not known, and closes the side that comes back after all', async () => {
    const { effects, giveUp, left, pair, recover } = scene('source committed', 'source')
    const given = await giveUp()
    expect(given).toMatchObject({
      dead: 'source',
      source: 'unreachable',
      destination: 'open',
      released: true,
    })
    expect([effects.length, effects[0]?.includes(given.unknown)]).toEqual([1, true])
    expect([pair.destination.devices, left()]).toEqual(['closed', 'owed'])
    // Still away: nothing is asked, and it stays owed.
    expect(await recover()).toMatchObject({ owed: 'source', givenUp: true, did: 'nothing' })
    pair.away.clear()
    const trace = pair.trace.length
    expect(await recover()).toMatchObject({ owed: null, givenUp: true, source: 'answers' })
    expect(pair.trace.slice(trace)).toEqual(['source status', 'source release'])
    expect([pair.source.devices, pair.running, left()]).toEqual(['closed', [], null])
    expect(await recover()).toMatchObject({ source: 'not-asked', givenUp: true })
  })

  it('a helper that is gone when its host is back owes nothing, and is made to drop the run on its disk', async () => {
    const { giveUp, left, pair, recover } = scene('stopped', 'destination')
    pair.kill('destination')
    await giveUp()
    pair.away.clear()
    expect(await recover()).toMatchObject({ owed: null, destination: 'gone-open' })
    expect([pair.destination.record, left()]).toEqual(['discarded', null])
  })

  it('one that runs when its host is back is named and not stopped; a person closes it', async () => {
    const { giveUp, left, pair, recover, release } = scene('destination runs', 'destination')
    await giveUp()
    pair.away.clear()
    expect(await recover()).toMatchObject({ outcome: 'sides-disagree', owed: 'destination', givenUp: true })
    expect([pair.running, left()]).toEqual([['destination'], 'owed'])
    await release()
    expect([pair.running, left()]).toEqual([[], null])
  })

  it.each<[string, Moment, Role, Role, Outcome | null, string]>([
    [
      'a side that is reached is not dead',
      'source committed',
      'source',
      'destination',
      'unknown',
      'recover/not-dead',
    ],
    ['what `recover` can finish', 'destination runs', 'source', 'source', 'unknown', 'release/refused'],
    ['a run that is at rest', 'stopped', 'destination', 'destination', 'rolled-back', 'release/refused'],
    ['a run that has no end', 'stopped', 'destination', 'destination', null, 'release/refused'],
  ])('refuses %s, and asks nothing of a side', async (_, moment, away, dead, outcome, code) => {
    const { giveUp, left, pair } = scene(moment, away, outcome)
    const before = [JSON.stringify([pair.source, pair.destination]), left()]
    await expect(giveUp(dead)).rejects.toMatchObject({ code })
    expect([JSON.stringify([pair.source, pair.destination]), left()]).toEqual(before)
  })

  it('refuses without the token, with both away, and while one of the two may have the workload unseen', async () => {
    const { giveUp, left, pair } = scene('source committed', 'source')
    const before = JSON.stringify([pair.source, pair.destination])
    await expect(giveUp('source', false)).rejects.toMatchObject({ code: 'recover/token' })
    pair.away.add('destination')
    await expect(giveUp()).rejects.toMatchObject({ code: 'release/refused' })
    expect([JSON.stringify([pair.source, pair.destination]), left()]).toEqual([before, 'unknown'])
  })
})
