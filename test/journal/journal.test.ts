import fc from 'fast-check'
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { Event, EventRecord } from '../../src/journal/event.js'
import { EventStream } from '../../src/journal/event-stream.js'
import { Journal } from '../../src/journal/journal.js'
import { takeUp } from '../../src/journal/reopen.js'
import { drivenBy } from '../../src/journal/lock.js'
import { findJournal, listRuns, parseJournal, readJournal } from '../../src/journal/read.js'
import { isRunId, newRunId } from '../../src/journal/run-id.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const RUN = '20261122T151733-4f2a'
const START: Event = {
  type: 'run-start',
  run: RUN,
  command: 'migrate',
  profile: 'p',
  file: 'p.yaml',
  version: '0.1.0',
  plan: {},
}
const PHASE: Event = { type: 'phase-start', phase: 'pin' }

/** A journal with these events after run-start, and its stream. */
function write(stateDir: string, bodies: readonly Event[], run = RUN): Journal {
  const journal = new Journal(stateDir, run)
  const stream = new EventStream()
  stream.subscribe(journal.append)
  for (const body of [START, ...bodies]) stream.emit(body)
  return journal
}

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    type: fc.constant('phase-start' as const),
    phase: fc.constantFrom('pin', 'cutover', 'rollback'),
  }),
  fc.record({
    type: fc.constant('intent' as const),
    step: fc.nat(),
    phase: fc.constant('pin' as const),
    side: fc.constantFrom('source', 'destination'),
    op: fc.string(),
    text: fc.string({ unit: 'binary' }),
    params: fc.dictionary(fc.string(), fc.string()),
  }),
  fc.record({
    type: fc.constant('outcome' as const),
    step: fc.nat(),
    ok: fc.boolean(),
    elapsedUs: fc.nat(),
    reply: fc.jsonValue(),
  }),
) as fc.Arbitrary<Event>

describe('Journal', () => {
  it('keeps every earlier record when the tail is torn at any byte', () => {
    fc.assert(
      fc.property(
        fc.array(anyEvent, { maxLength: 8 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (bodies, part) => {
          const journal = write(temporaryFolder(), bodies)
          journal.close()
          const bytes = readFileSync(journal.path)
          const whole = parseJournal(bytes, 'whole')
          expect(whole.records).toHaveLength(bodies.length + 1)
          expect(whole.torn).toBe(false)
          const firstLine = bytes.indexOf(0x0a) + 1
          const cut = firstLine + Math.floor(part * (bytes.length - firstLine))
          const torn = parseJournal(bytes.subarray(0, cut), 'torn')
          // Every line that is wholly there is kept, as it was; nothing is made of the rest.
          const lines = bytes.subarray(0, cut).toString('latin1').split('\n').length - 1
          expect(torn.records).toEqual(whole.records.slice(0, lines))
          expect(torn.torn).toBe(bytes[cut - 1] !== 0x0a)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('refuses a broken line that is not the last, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('\n')),
        (garbage) => {
          const first = JSON.stringify(record(1, START))
          const bytes = Buffer.from(`${first}\n${garbage}\n${JSON.stringify(record(3, PHASE))}\n`)
          expect(() => parseJournal(bytes, 'j')).toThrow(/line 2/u)
        },
      ),
    )
  })

  it.each([
    ['empty', '', 'no complete record'],
    ['another program’s NDJSON', '{"level":30,"msg":"hi"}\n', 'line 1'],
    ['without its beginning', `${JSON.stringify(record(5, PHASE))}\n`, 'begins with phase-start'],
    [
      'out of order',
      `${JSON.stringify(record(2, START))}\n${JSON.stringify(record(2, PHASE))}\n`,
      'out of order',
    ],
    ['of an unknown event', `{"seq":1,"time":"","atUs":0,"body":{"type":"toString"}}\n`, 'line 1'],
  ])('refuses a journal that is %s', (_, text, named) => {
    expect(() => parseJournal(Buffer.from(text), 'j')).toThrow(named)
    expect(() => parseJournal(Buffer.from(text), 'j')).toThrow(
      expect.objectContaining({ code: 'journal/broken' }),
    )
  })

  it('is for its owner alone', () => {
    const stateDir = join(temporaryFolder(), 'state')
    const journal = write(stateDir, [])
    expect(statSync(join(stateDir, 'runs')).mode & 0o777).toBe(0o700)
    expect(statSync(journal.path).mode & 0o777).toBe(0o600)
    journal.close()
  })

  it('thins out progress to one a second and side, and keeps everything else', () => {
    const stateDir = temporaryFolder()
    const journal = new Journal(stateDir, RUN)
    let ms = 0
    const stream = new EventStream({ wallMs: () => ms, monotonicMs: () => ms })
    stream.subscribe(journal.append)
    stream.emit(START)
    for (ms = 0; ms < 3000; ms += 10) {
      const event = {
        event: 'progress',
        round: 1,
        sentBytes: '1',
        roundBytes: '2',
        bytesPerSecond: '3',
      } as const
      stream.emit({ type: 'helper', side: 'source', event })
      stream.emit({ type: 'helper', side: 'destination', event })
    }
    stream.emit({ type: 'helper', side: 'source', event: { event: 'log', level: 'info', message: 'end' } })
    journal.close()
    const { records } = readJournal(journal.path)
    expect(records).toHaveLength(1 + 3 + 3 + 1)
  })

  it('writes bytes without rounding, and never the secret', () => {
    const journal = write(temporaryFolder(), [
      {
        type: 'intent',
        step: 1,
        phase: 'pin',
        side: 'source',
        op: 'connect',
        text: 'connect',
        params: { secret: 'abc123', bytes: 2n ** 60n + 1n },
      },
    ])
    journal.close()
    const text = readFileSync(journal.path, 'utf8')
    expect(text).not.toContain('abc123')
    expect(text).toContain('"1152921504606846977"')
  })

  it('never overwrites a run, and says when the folder cannot be written', () => {
    const stateDir = temporaryFolder()
    write(stateDir, []).close()
    expect(() => new Journal(stateDir, RUN)).toThrow(
      expect.objectContaining({ code: 'journal/create', exit: EXIT.error }),
    )
    const file = join(stateDir, 'file')
    writeFileSync(file, '')
    expect(() => new Journal(file, RUN)).toThrow(expect.objectContaining({ errnoName: 'ENOTDIR' }))
  })

  it('taken up again goes on behind its last whole record, also of a writer that died in the middle of one', () => {
    const stateDir = temporaryFolder()
    const first = write(stateDir, [PHASE])
    // Its own ferry still writes it.
    expect(() => takeUp(readJournal(first.path), stateDir, RUN)).toThrow(
      expect.objectContaining({ code: 'run/busy' }),
    )
    first.close()
    appendFileSync(first.path, '{"seq":3,"time":"2026-1')
    const again = () => {
      const saved = readJournal(first.path)
      const journal = takeUp(saved, stateDir, RUN)
      const stream = new EventStream(undefined, saved.records.at(-1))
      stream.subscribe(journal.append)
      stream.emit({ type: 'recover-start', epoch: 2, version: '0.1.0' })
      return { journal, saved }
    }
    const { journal, saved } = again()
    // Another one at the same time, and one that read it before that one wrote.
    const busy = expect.objectContaining({ code: 'run/busy' })
    expect(again).toThrow(busy)
    journal.close()
    expect(() => takeUp(saved, stateDir, RUN)).toThrow(busy)
    // One that died with it keeps no one out, also when its number is another's by now.
    writeFileSync(drivenBy(stateDir, RUN), `${process.pid} 1`)
    again().journal.close()
    // An empty one is being written, or was when the power went.
    writeFileSync(drivenBy(stateDir, RUN), '')
    expect(again).toThrow(busy)
    utimesSync(drivenBy(stateDir, RUN), 0, 0)
    again().journal.close()
    const { records, torn } = readJournal(first.path)
    expect([records.map(({ seq }) => seq), torn]).toEqual([[1, 2, 3, 4, 5], false])
    expect(readdirSync(join(stateDir, 'driven'))).toEqual([])
    expect(existsSync(drivenBy(stateDir, RUN))).toBe(false)
  })

  it('ends with run-end: nothing said later gets in', () => {
    const journal = write(temporaryFolder(), [
      { type: 'run-end', outcome: 'done', exit: 0, elapsedUs: 1 },
      PHASE,
    ])
    journal.close()
    expect(readJournal(journal.path).records.at(-1)?.body.type).toBe('run-end')
  })
})

describe('findJournal', () => {
  const stateDir = temporaryFolder()
  const ids = ['20261120T000000-aaaa', '20261121T000000-bbbb', '20261121T000000-cccc']
  for (const id of ids) write(stateDir, [], id).close()
  appendFileSync(join(stateDir, 'runs', 'notes.txt'), 'not a run')
  const path = (id: string): string => join(stateDir, 'runs', `${id}.ndjson`)

  it('takes an id, the beginning of just one, `last`, and a path', () => {
    expect(listRuns(stateDir)).toEqual([...ids].reverse())
    expect(findJournal(stateDir, '20261120T000000-aaaa')).toBe(path('20261120T000000-aaaa'))
    expect(findJournal(stateDir, '20261120')).toBe(path('20261120T000000-aaaa'))
    expect(findJournal(stateDir, 'last')).toBe(path('20261121T000000-cccc'))
    expect(findJournal(stateDir, path('20261121T000000-bbbb'))).toBe(path('20261121T000000-bbbb'))
  })

  it('names the runs an ambiguous beginning could mean, and the recent ones for an unknown one', () => {
    expect(() => findJournal(stateDir, '20261121')).toThrow(
      /2 runs: 20261121T000000-cccc, 20261121T000000-bbbb/u,
    )
    for (const unknown of ['1999', '', './none.ndjson']) {
      try {
        findJournal(stateDir, unknown)
        expect.unreachable()
      } catch (error) {
        expect(error).toMatchObject({
          exit: EXIT.usage,
          suggestions: [expect.stringContaining(ids[0] ?? '')],
        })
      }
    }
    expect(() => findJournal(join(stateDir, 'elsewhere'), 'last')).toThrow('there is no run last')
  })
})

describe('run ids', () => {
  it('sort by time', () => {
    const id = newRunId(new Date('2026-11-22T15:17:33.999Z'), Buffer.from('4f2a', 'hex'))
    expect(id).toBe(RUN)
    expect(isRunId(id)).toBe(true)
    expect([newRunId(new Date('2026-11-22T15:17:34Z')), id].sort()[0]).toBe(id)
  })
})

function record(seq: number, body: Event): EventRecord {
  return { seq, time: '2026-11-22T15:17:33.000Z', atUs: seq, body }
}
