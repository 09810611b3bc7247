/** `ferry recover` over everything a dead ferry can leave, and over recoveries that die themselves. */
import fc from 'fast-check'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readJournal } from '../../src/journal/read.js'
import { recoverRun, type RecoveryResult } from '../../src/recovery/recover.js'
import { journal, leave, MOMENTS, THENS, type Moment, type Scene } from './left-journal.js'
import type { LeftPair, Mishap } from './left-pair.js'

async function recover(
  pair: LeftPair,
  { path, stateDir }: { readonly stateDir: string; readonly path: string },
  resumeSource = false,
): Promise<RecoveryResult> {
  return recoverRun({ saved: readJournal(path), stateDir, version: '0', resumeSource, reach: pair.reach })
}

/** As if the recovery's ferry had died: what came after its last request is not written, and maybe half a line is. */
function tear(path: string, torn: boolean): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  const last = lines.findLastIndex((line) => /"type":"(?:intent|recover-start)"/u.test(line))
  writeFileSync(path, `${lines.slice(0, last + 1).join('\n')}\n${torn ? '{"seq":' : ''}`)
}

const scenes = fc.record({
  moment: fc.constantFrom(...MOMENTS),
  then: fc.constantFrom(...THENS),
  dead: fc.subarray(['source', 'destination'] as const),
  sourceHolds: fc.boolean(),
})
const mishaps: fc.Arbitrary<readonly Mishap[]> = fc.array(
  fc.record({ nth: fc.integer({ min: 1, max: 8 }), kind: fc.constantFrom('unsent', 'unheard', 'dies') }),
  { maxLength: 2 },
)
const recoveries = fc.array(fc.record({ mishaps, dies: fc.boolean(), torn: fc.boolean() }), { maxLength: 3 })

/** True of every state that is ever reached. */
function holdsAlways(pair: LeftPair): void {
  expect(pair.running.length, `${pair.running.join(' and ')} run; ${pair.trace.join(', ')}`).toBeLessThan(2)
  // Not 'none': one that only seemed to be gone could commit late.
  if (pair.sourceRanAgain) expect(pair.destination.record).toBe('discarded')
}

function holdsAfter(pair: LeftPair, { outcome }: RecoveryResult): void {
  holdsAlways(pair)
  if (outcome === 'done') expect(['committed', 'settled']).toContain(pair.destination.record)
  if (outcome === 'done') expect(pair.source.devices).toBe('closed')
  if (outcome === 'rolled-back')
    expect([pair.sourceRanAgain, pair.destination.record]).toEqual([true, 'discarded'])
}

describe('recovering a run', { timeout: 120_000 }, () => {
  it('never lets two sides run, whatever was left and however often recovering fails', async () => {
    await fc.assert(
      fc.asyncProperty(scenes, recoveries, async (scene, tries) => {
        const { bodies, pair } = leave(scene)
        const saved = journal(bodies)
        for (const { dies, mishaps, torn } of tries) {
          pair.again(mishaps)
          const recovered = await recover(pair, saved)
          holdsAfter(pair, recovered)
          if (dies) tear(saved.path, torn)
        }
        pair.again([])
        const last = await recover(pair, saved)
        holdsAfter(pair, last)
        // No one is missing: it must have come to a good end.
        if (!pair.lostOne && pair.sourceHolds && last.outcome === 'rolled-back')
          expect(pair.running).toEqual(['source'])
        if (!pair.lostOne) expect(['done', 'rolled-back']).toContain(last.outcome)
        // And it stays where it is.
        const before = JSON.stringify([pair.source, pair.destination])
        expect((await recover(pair, saved)).outcome).toBe(last.outcome)
        expect(JSON.stringify([pair.source, pair.destination])).toBe(before)
      }),
      { numRuns: 200 },
    )
  })

  it.each<[Moment, RecoveryResult['outcome']]>([
    ['stopped', 'rolled-back'],
    ['source committed', 'rolled-back'],
    ['destination runs', 'done'],
    ['settling', 'done'],
    ['settled', 'done'],
    ['source released', 'done'],
  ])('finds both sides where the ferry died with them %s', async (moment, outcome) => {
    for (const then of THENS) {
      const { bodies, pair } = leave({ moment, then, dead: [] })
      expect((await recover(pair, journal(bodies))).outcome, then.kind).toBe(outcome)
    }
  })

  it('finishes what a dead source committed', async () => {
    const { bodies, pair } = leave({ moment: 'source committed', then: { kind: 'hold' }, dead: ['source'] })
    const { did, outcome } = await recover(pair, journal(bodies))
    expect([did, outcome, pair.running]).toEqual(['finish', 'done', ['destination']])
  })

  it('has whatever a dead source stopped for its blackout woken, once the destination has dropped the run', async () => {
    const { bodies, pair } = leave({ moment: 'stopped', then: { kind: 'hold' }, dead: ['source'] })
    const { error, outcome } = await recover(pair, journal(bodies))
    expect([outcome, error?.code]).toEqual(['needs-person', 'source/helper-died'])
    // A helper that records this of a source wakes the processes on its list.
    expect([pair.destination.record, pair.source.record]).toEqual(['discarded', 'discarded'])
    expect(pair.running).toEqual([])
  })

  it('does not run the source of a run that is done, and leaves it done', async () => {
    const { bodies, pair } = leave({ moment: 'settled', then: { kind: 'hold' }, dead: ['destination'] })
    const saved = journal([...bodies, { type: 'run-end', outcome: 'done', exit: 0, elapsedUs: 1 }])
    await expect(recover(pair, saved, true)).rejects.toMatchObject({ code: 'recover/done' })
    expect(pair.trace).toEqual([])
    expect((await recover(pair, saved)).outcome).toBe('done')
  })

  it('runs the source of a destination that is lost only when told to', async () => {
    const scene: Scene = { moment: 'destination runs', then: { kind: 'hold' }, dead: ['destination'] }
    const { bodies, pair } = leave(scene)
    const saved = journal(bodies)
    expect((await recover(pair, saved)).outcome).toBe('needs-person')
    expect(pair.running).toEqual([])
    expect((await recover(pair, saved, true)).outcome).toBe('rolled-back')
    expect(pair.sourceRanAgain).toBe(true)
  })
})
