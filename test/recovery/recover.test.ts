/** `ferry recover` over everything a dead ferry can leave, and over recoveries that die themselves. */
import fc from 'fast-check'
import { readFileSync, writeFileSync } from 'node:fs'
import { EXIT } from '../../src/exit-codes.js'
import { FerryError } from '../../src/errors.js'
import { describe, expect, it } from 'vitest'
import { parseWhatIsLeft, readWhatIsLeft } from '../../src/journal/read.js'
import { NOTHING_SAID, type Saying } from '../../src/recovery/choices.js'
import { recoverRun } from '../../src/recovery/recover.js'
import type { RecoveryResult } from '../../src/recovery/result.js'
import { journal, leave, MOMENTS, THENS, type Moment, type Scene } from './left-journal.js'
import type { LeftPair, Mishap } from './left-pair.js'

async function recover(
  pair: LeftPair,
  { path, stateDir }: { readonly stateDir: string; readonly path: string },
  said: Saying = NOTHING_SAID,
  confirms: (token: string) => boolean = () => true,
): Promise<RecoveryResult> {
  const confirm = async (token: string): Promise<boolean> => confirms(token)
  const saved = readWhatIsLeft(path)
  return recoverRun({ saved, stateDir, version: '0', said, confirm, reach: pair.reach })
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

  it('needs a person for a process that cannot be woken, and tries again when asked again', async () => {
    const { bodies, pair } = leave({ moment: 'stopped', then: { kind: 'hold' }, dead: ['source'] })
    pair.standing = true
    const stuck = await recover(pair, journal(bodies))
    expect([stuck.outcome, stuck.exit, stuck.error?.code]).toEqual([
      'needs-person',
      EXIT.needsPerson,
      'tracker/process-not-woken',
    ])
    pair.standing = false
    expect((await recover(pair, journal(bodies))).error?.code).toBe('source/helper-died')
    expect(pair.trace.filter((asked) => asked === 'source record').length).toBeGreaterThanOrEqual(2)
  })

  it('does not run the source of a run that is done, and leaves it done', async () => {
    const { bodies, pair } = leave({ moment: 'settled', then: { kind: 'hold' }, dead: ['destination'] })
    const saved = journal([...bodies, { type: 'run-end', outcome: 'done', exit: 0, elapsedUs: 1 }])
    await expect(recover(pair, saved, { as: 'source', dead: null })).rejects.toMatchObject({
      code: 'recover/done',
    })
    expect(pair.trace).toEqual([])
    expect((await recover(pair, saved)).outcome).toBe('done')
  })

  it('runs the source of a destination that is lost only when told to', async () => {
    const scene: Scene = { moment: 'destination runs', then: { kind: 'hold' }, dead: ['destination'] }
    const { bodies, pair } = leave(scene)
    const saved = journal(bodies)
    expect((await recover(pair, saved)).outcome).toBe('needs-person')
    expect(pair.running).toEqual([])
    expect((await recover(pair, saved, { as: 'source', dead: null })).outcome).toBe('rolled-back')
    expect(pair.sourceRanAgain).toBe(true)
  })

  it('of a journal cut at any byte, or with any line damaged, it throws nothing and lets two sides run never', async () => {
    for (const then of THENS) {
      for (const moment of MOMENTS) {
        const left = leave({ moment, then, dead: [] })
        const bytes = readFileSync(journal(left.bodies).path)
        const firstLine = bytes.indexOf(0x0a) + 1
        // Reading it, at every byte; recovering by it, at every record that then is left.
        const seen = new Set<number>()
        for (let cut = 0; cut <= bytes.length; cut++) {
          const part = bytes.subarray(0, cut)
          if (cut < firstLine) {
            expect(() => parseWhatIsLeft(part, 'j')).toThrow(FerryError)
            continue
          }
          const { records } = parseWhatIsLeft(part, 'j')
          if (seen.has(records.length)) continue
          seen.add(records.length)
          await recoveredFrom(left.bodies, part, { moment, then })
        }
        const lines = bytes.toString().split('\n')
        for (let line = 1; line < lines.length - 1; line++) {
          for (const garbage of [
            '',
            '{"seq":',
            '\0\0\0',
            '[]',
            '{"seq":1,"time":"","atUs":0,"body":{"type":"hold"}}',
          ]) {
            const damaged = lines.map((text, index) => (index === line ? garbage : text)).join('\n')
            await recoveredFrom(left.bodies, Buffer.from(damaged), { moment, then })
          }
        }
      }
    }
  })

  /** The journal as these bytes; the pair anew. */
  async function recoveredFrom(
    bodies: ReturnType<typeof leave>['bodies'],
    bytes: Buffer,
    { moment, then }: Pick<Scene, 'moment' | 'then'>,
  ): Promise<void> {
    const { pair } = leave({ moment, then, dead: [] })
    const saved = journal(bodies)
    writeFileSync(saved.path, bytes)
    const recovered = await recover(pair, saved)
    holdsAfter(pair, recovered)
    // No one is missing, so it does not take a whole journal to come to a good end.
    expect(['done', 'rolled-back'], `${moment}: ${recovered.error?.message}`).toContain(recovered.outcome)
    expect((await recover(pair, saved)).outcome).toBe(recovered.outcome)
  }

  it('does what a person decides with the token of just that state, and nothing without it', async () => {
    const roles = fc.constantFrom(null, 'source' as const, 'destination' as const)
    let decisions = 0
    await fc.assert(
      fc.asyncProperty(
        scenes,
        fc.record({ as: roles, dead: roles }),
        fc.boolean(),
        async (scene, said, gives) => {
          const { bodies, pair } = leave(scene)
          const saved = journal(bodies)
          // A host is declared dead by one who knows: it is, and nothing can ask it.
          if (said.dead !== null) pair.killHost(said.dead)
          const asked: string[] = []
          const recovered = await recover(pair, saved, said, (token) => {
            asked.push(token)
            return gives
          })
          holdsAlwaysBut(pair)
          if (asked.length === 0) return
          decisions++
          expect(asked[0]).toMatch(/^[0-9a-f]{6}$/u)
          if (gives) {
            expect(recovered.did).not.toBe('refuse')
            return
          }
          expect([recovered.did, recovered.error?.code]).toEqual(['refuse', 'recover/token'])
          const { choices } = recovered
          expect(recovered.error?.suggestion).toContain(`--token ${asked[0]}`)
          expect(new Set(choices.map(({ token }) => token)).size).toBe(choices.length)
        },
      ),
      { numRuns: 400 },
    )
    expect(decisions).toBeGreaterThan(20)
  })

  it.each<[Moment, 'source' | 'destination', Saying, 'destination' | 'source']>([
    ['destination runs', 'destination', { as: 'source', dead: 'destination' }, 'source'],
    ['stopped', 'source', { as: 'destination', dead: 'source' }, 'destination'],
  ])(
    '%s, the %s dead: it is declared so, and closed or found gone when it is back',
    async (moment, dead, said, runs) => {
      const { bodies, pair } = leave({ moment, then: { kind: 'hold' }, dead: [], sourceHolds: true })
      const saved = journal(bodies)
      pair.away.add(dead)
      const blind = await recover(pair, saved)
      expect([blind.outcome, blind.choices]).toMatchObject(['unknown', [said]])
      pair.kill(dead)
      const decided = await recover(pair, saved, said)
      expect([pair.running, decided.owed]).toEqual([[runs], dead])
      // Still away, and still owed; then it is back, once.
      expect((await recover(pair, saved)).owed).toBe(dead)
      pair.away.clear()
      const found = await recover(pair, saved)
      expect([found.owed, found.outcome, pair.running]).toEqual([null, decided.outcome, [runs]])
      expect((await recover(pair, saved)).source).toBe('not-asked')
    },
  )

  it('a side that was declared dead and runs all the same is named, and one that is reached is not dead', async () => {
    const { bodies, pair } = leave({ moment: 'destination runs', then: { kind: 'hold' }, dead: [] })
    const saved = journal(bodies)
    const said = { as: 'source', dead: 'destination' } as const
    await expect(recover(pair, saved, said)).rejects.toMatchObject({ code: 'recover/not-dead' })
    expect(pair.running).toEqual(['destination'])
    pair.away.add('destination')
    expect((await recover(pair, saved, said)).outcome).toBe('rolled-back')
    pair.away.clear()
    const trace = pair.trace.length
    expect(await recover(pair, saved)).toMatchObject({ outcome: 'sides-disagree', owed: 'destination' })
    expect(pair.trace.slice(trace)).toEqual(['destination status'])
  })
})

/** What was decided with a person's word may leave a COMMIT behind; two never run. */
function holdsAlwaysBut(pair: LeftPair): void {
  expect(pair.running.length, `${pair.running.join(' and ')} run; ${pair.trace.join(', ')}`).toBeLessThan(2)
}
