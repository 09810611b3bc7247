/** `ferry release RUN`: what it closes, and what it will not. */
import { describe, expect, it } from 'vitest'
import type { Event, Outcome } from '../../src/journal/event.js'
import { readJournal } from '../../src/journal/read.js'
import { releaseRun } from '../../src/recovery/release.js'
import { journal, leave, type Moment } from './left-journal.js'
import type { LeftPair } from './left-pair.js'

function scene(moment: Moment, outcome: Outcome | null) {
  const { bodies, pair } = leave({ moment, then: { kind: 'hold' }, dead: [] })
  const end: Event[] = outcome === null ? [] : [{ type: 'run-end', outcome, exit: 0, elapsedUs: 1 }]
  const { path, stateDir } = journal([...bodies, ...end])
  const release = (giveUp = false) => releaseRun(readJournal(path), stateDir, pair.reach, giveUp)
  const ops = () => readJournal(path).records.flatMap(({ body }) => (body.type === 'intent' ? [body.op] : []))
  return { ops, pair, release }
}
const devices = ({ destination, source }: LeftPair) => [source.devices, destination.devices]

describe('releasing a run', () => {
  it('closes the source of one that is done, writes that down, and is safe to repeat', async () => {
    const { ops, pair, release } = scene('settled', 'done')
    expect(await release()).toMatchObject({ released: true, devices: ['nic'] })
    expect(devices(pair)).toEqual(['closed', 'running'])
    expect(ops().at(-1)).toBe('release')
    expect(await release()).toMatchObject({ released: false })
  })

  it.each<[Moment, Outcome | null]>([
    ['stopped', null],
    ['source committed', 'unknown'],
    ['destination runs', 'needs-person'],
    ['stopped', 'rolled-back'],
  ])('refuses while the source may be all there is: %s, %s', async (moment, outcome) => {
    const { pair, release } = scene(moment, outcome)
    await expect(release()).rejects.toMatchObject({ code: 'release/refused' })
    expect(pair.trace).toEqual([])
  })

  it('closes both sides of one that is given up, and neither while a side cannot be asked', async () => {
    const given = scene('destination runs', 'needs-person')
    given.pair.again([{ nth: 2, kind: 'unsent' }])
    await expect(given.release(true)).rejects.toMatchObject({ code: 'link/lost' })
    expect(devices(given.pair)).toEqual(['stopped', 'running'])
    given.pair.again([])
    expect(await given.release(true)).toMatchObject({ released: true })
    expect(devices(given.pair)).toEqual(['closed', 'closed'])
    // No one may take it for a run that ended well.
    expect(given.pair.destination.record).toBe('committed')
  })

  it('leaves a holder alone that took the workload up since', async () => {
    const { pair, release } = scene('settled', 'done')
    pair.source.ofRun = false
    pair.source.holds = true
    expect(await release()).toMatchObject({ released: false })
    expect(devices(pair)).toEqual(['stopped', 'running'])
  })
})
