/** A journal that lost its first line: what it had is made up from the profile, and the run ends as safely as another. */
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { unfinishedRuns } from '../../src/control/list.js'
import { hasNoBeginning, readWhatIsLeft } from '../../src/journal/read.js'
import { leftAt } from '../../src/run/left-at.js'
import { putInFront } from '../../src/recovery/lost-beginning.js'
import { recoverRun } from '../../src/recovery/recover.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'
import { journal, leave, MOMENTS, THENS, type Moment } from './left-journal.js'
import { RUN, WORKLOAD } from './left-pair.js'

/** What a full disk, a lost power supply or a torn write leave of the first line. */
const LOSSES: Readonly<Record<string, (text: string, end: number) => string>> = {
  'half a line, and nothing more': (text, end) => text.slice(0, end / 2),
  nothing: () => '',
  zeros: (text, end) => '\0'.repeat(end) + text.slice(end),
  'cut out': (text, end) => text.slice(end + 1),
  'half of it, glued to the next': (text, end) => text.slice(0, end / 2) + text.slice(end + 1),
}

const base = profileFor([simDevice('nic')])

async function lost(moment: Moment, loss: keyof typeof LOSSES, then = THENS[0], name = WORKLOAD) {
  const { bodies, pair } = leave({ moment, then: then ?? { kind: 'hold' }, dead: [] })
  const { path, stateDir } = journal(bodies)
  const text = readFileSync(path, 'utf8')
  const torn = LOSSES[loss]?.(text, text.indexOf('\n')) ?? ''
  writeFileSync(path, torn)
  const profile = { ...base, name, destination: { ...base.destination, then: then ?? base.destination.then } }
  const putFront = (asked = profile) =>
    putInFront(path, {
      ...{ profile: asked, file: 'w.yaml', version: '0', stateDir },
      askSide: async (side) => ({ stateDir: `/${side}`, uid: 1000 }),
    })
  const recover = () => recoverRun({ saved: readWhatIsLeft(path), stateDir, version: '0', reach: pair.reach })
  return { pair, path, putFront, recover, stateDir, torn }
}

describe('a journal whose beginning is lost', () => {
  it.each(Object.keys(LOSSES))('%s: it is named, kept, and given a beginning, once', async (loss) => {
    const { path, putFront, stateDir, torn } = await lost('stopped', loss)
    expect(hasNoBeginning(path)).toBe(true)
    expect(() => readWhatIsLeft(path)).toThrow(expect.objectContaining({ code: 'journal/broken' }))
    expect(await unfinishedRuns(stateDir)).toMatchObject({ runs: [], lost: [RUN], unread: [{}] })
    await putFront()
    expect(readFileSync(`${path}.damaged`, 'utf8')).toBe(torn)
    expect(await unfinishedRuns(stateDir)).toMatchObject({
      runs: [{ run: RUN, unfinished: 'died' }],
      lost: [],
    })
    // Nobody goes on with what was made up.
    const { damaged, records } = readWhatIsLeft(path)
    expect([damaged > 0, leftAt(records, damaged), leftAt(records, 0)]).toEqual([true, null, null])
  })

  it('wherever the run was, two sides never run, and it ends as it would have', async () => {
    for (const moment of MOMENTS) {
      for (const then of THENS) {
        for (const loss of ['nothing', 'zeros', 'cut out']) {
          const { pair, putFront, recover } = await lost(moment, loss, then)
          await putFront()
          const { outcome } = await recover()
          const committed = MOMENTS.indexOf(moment) >= 2
          expect(pair.running.length, `${moment}, ${then.kind}, ${loss}`).toBeLessThan(2)
          expect(pair.sourceRanAgain, `${moment}, ${then.kind}, ${loss}`).toBe(!committed)
          expect(committed ? ['done', 'needs-person', 'unknown'] : ['rolled-back']).toContain(outcome)
        }
      }
    }
  })

  it.each([
    [
      'by the devices of a claim',
      { op: 'claim', params: { devices: ['other'], recordDir: '/source/records', lockDir: '/l' } },
    ],
    ['by the name of its workload', { op: 'stay', params: { workload: 'other' } }],
  ])('is not made up for a run of another profile: %s', async (_, what) => {
    const { path, putFront } = await lost('stopped', 'zeros')
    const record = {
      seq: 9,
      ...{ time: '2026-11-22T15:17:33.000Z', atUs: 9 },
      body: { type: 'intent', ...{ step: 9, phase: 'pin', side: 'source', text: '' }, ...what },
    }
    writeFileSync(path, `${readFileSync(path, 'utf8')}${JSON.stringify(record)}\n`)
    const before = readFileSync(path, 'utf8')
    await expect(putFront()).rejects.toMatchObject({ code: 'recover/refused' })
    expect(readFileSync(path, 'utf8')).toBe(before)
  })
})
