import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toJson } from '../../src/json.js'
import { buildReport } from '../../src/report/build.js'
import type { EventRecord } from '../../src/journal/event.js'
import { migrated, started } from './records.js'

describe('buildReport', () => {
  it('is a function of the records, whether they are in memory or read back', () => {
    const { records } = migrated()
    const back = JSON.parse(toJson(records)) as EventRecord[]
    expect(buildReport(back)).toEqual(buildReport(records))
  })

  it('keeps figures exact', () => {
    const report = buildReport(migrated().records)
    expect(report.verification.writes?.writes).toBe(9007199254740993n)
    expect(report.memoryBytes).toBe(536870912n)
    expect(report.phases.map(({ bytes, elapsedUs, phase }) => [phase, elapsedUs, bytes])).toEqual([
      ['pin', 310_000, 0n],
      ['dirty-log', 1200, 0n],
      ['pre-copy', 430_000, 402_653_184n],
      ['cutover', 191_000, 2_097_152n],
      ['commit', 52_000, 0n],
    ])
    expect(report.cutover?.downtimeLimitUs).toBe(500_000)
    expect(report.devices).toMatchObject([
      {
        device: 'vgpu',
        trackers: ['pinned'],
        stateBytes: 262_144n,
        moved: true,
        states: { source: 'STOP_COPY', destination: 'RUNNING' },
      },
      { device: 'nic', trackers: ['device'], stateBytes: 8_388_608n, states: { source: null } },
    ])
  })

  it('says of a journal that just ends what was under way, and calls it incomplete', () => {
    const { records } = migrated()
    const cut = records.findIndex(({ body }) => body.type === 'intent' && body.op === 'cutover')
    const report = buildReport(records.slice(0, cut + 1))
    expect(report).toMatchObject({
      outcome: 'incomplete',
      exit: null,
      unfinished: [{ side: 'source', text: 'cutover it' }],
      cutover: null,
    })
    expect(report.phases.at(-1)).toMatchObject({ phase: 'cutover', outcome: 'unfinished' })
  })

  it('can be made of every beginning of a journal', () => {
    const { records } = migrated()
    fc.assert(
      fc.property(fc.integer({ min: 1, max: records.length }), (length) => {
        const report = buildReport(records.slice(0, length))
        expect(report.outcome).toBe(length === records.length ? 'done' : 'incomplete')
      }),
    )
  })

  it('lists what failed on the way', () => {
    const { records } = started().failed('source', 'precopy', 'link/lost', 'pre-copy').end('rolled-back', 5)
    expect(buildReport(records).failedSteps).toMatchObject([
      { phase: 'pre-copy', side: 'source', text: 'precopy it', error: { code: 'link/lost' } },
    ])
  })

  it('measures the time between two reads of the trackers', () => {
    const tape = started('dirty-log')
    tape.done('source', 'track', { trackers: [] }, { trackers: [], bitmapBytes: '0' })
    for (const pages of [10, 20]) {
      tape.add({ type: 'phase-start', phase: 'dirty-log' }, 999_990)
      const trackers = [{ tracker: 'device:nic', pages, elapsedUs: 5 }]
      tape.done(
        'source',
        'dirty',
        {},
        { elapsedUs: 7, trackers, unionPages: pages, unionBytes: `${pages * 4096}` },
      )
    }
    expect(buildReport(tape.records).dirtyReads).toMatchObject([
      { round: 1, intervalUs: 1_000_000, unionPages: 10 },
      { round: 2, intervalUs: 1_000_000, unionBytes: 81_920n },
    ])
  })

  it('refuses records that hold nonsense, by a code and not by a crash', () => {
    const [first] = started().records
    if (first?.body.type !== 'run-start') throw new Error('the tape begins with run-start')
    const broken = [
      { ...first, body: { ...first.body, plan: null } },
      { ...first, body: { ...first.body, plan: { ...(first.body.plan as object), pairs: 7 } } },
    ]
    for (const record of broken) {
      expect(() => buildReport([record])).toThrow(expect.objectContaining({ code: 'journal/broken' }))
    }
    expect(() => buildReport([])).toThrow(expect.objectContaining({ code: 'journal/broken' }))
  })
})
