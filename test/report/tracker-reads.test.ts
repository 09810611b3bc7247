import { describe, expect, it } from 'vitest'
import { buildReport } from '../../src/report/build.js'
import type { EventRecord } from '../../src/journal/event.js'
import { migrated, started, twoTrackers, type Tape } from './records.js'

/** Everything a helper did not tell before it counted. */
function older(records: readonly EventRecord[]): EventRecord[] {
  return JSON.parse(JSON.stringify(records), (key, value: unknown) =>
    ['unionPages', 'reads', 'onlyPages', 'everyPage'].includes(key) ? undefined : value,
  ) as EventRecord[]
}

/** Rounds under a tracker that calls all of 100 pages dirty, beside a log that named `logged`. */
function everyPageRun(logged: readonly number[], cutover: boolean): Tape {
  const tape = started()
  const [first] = tape.records
  if (first?.body.type !== 'run-start') throw new Error('the tape begins with run-start')
  const plan = first.body.plan as { trackers: Record<string, unknown>[] }
  plan.trackers[0] = { ...plan.trackers[0], everyPage: true }
  logged.forEach((pages, index) => {
    tape.helper({
      ...{ event: 'round-end', round: index + 1, sentBytes: '409600', zeroPages: 0, elapsedUs: 10 },
      ...{ dirtyPages: 100, dirtyBytes: '409600', bytesPerSecond: '1', estimatedBlackoutUs: 1 },
      trackers: twoTrackers([100, 100 - pages], [pages, 0]),
      unionPages: 100,
    })
  })
  if (!cutover) return tape
  const blackout = {
    ...{ quiesceUs: 1, lastPagesUs: 1, stateUs: 1, loadUs: 1, verifyUs: 0, resumeUs: 1, totalUs: 5 },
  }
  return tape.done(
    'source',
    'cutover',
    { downtimeLimitMs: 1, fixedBlackoutUs: 0, verify: false },
    {
      ...{ outcome: 'running', blackout, lastPages: 100, lastBytes: '409600', devices: [], verified: null },
      reads: [
        { stopped: false, trackers: twoTrackers([100, 99], [1, 0]), unionPages: 100 },
        { stopped: true, trackers: twoTrackers([100, 100], [0, 0]), unionPages: 100 },
      ],
    },
  )
}

describe('the reads of a migration', () => {
  it('are those of each round and of the last pages, in order', () => {
    const { trackerReads } = buildReport(migrated().records)
    expect(trackerReads.map(({ at, round, unionPages }) => [at, round, unionPages])).toEqual([
      ['round', 1, 3000],
      ['before-stop', null, 2048],
      ['after-stop', null, 2054],
    ])
    expect(trackerReads[2]!.trackers).toEqual(twoTrackers([2048, 2047], [7, 6]))
  })
  it('are left out for a journal whose helper did not tell, and the rest is as it was', () => {
    const { records } = migrated()
    const { trackerReads, ...rest } = buildReport(older(records))
    expect(trackerReads).toEqual([])
    expect(rest.everyPage).toBeNull()
    expect(rest.rounds).toEqual(buildReport(records).rounds)
  })
  it('an older journal’s tracker `all` is known for what it is', () => {
    const text = JSON.stringify(older(started().records)).replace('"kind":"device"', '"kind":"all"')
    const { trackers } = buildReport(JSON.parse(text) as EventRecord[])
    expect(trackers.map(({ everyPage }) => everyPage)).toEqual([false, true])
  })
})

describe('what calling every page dirty had sent again', () => {
  it('is every round after the first, and the blackout', () => {
    // The reads after rounds 1, 2 and 3 went into rounds 2 and 3 and into the blackout.
    expect(buildReport(everyPageRun([10, 20, 30], true).records).everyPage).toEqual({
      trackers: ['pinned:mdevs'],
      times: 3,
      blackout: true,
      pages: 300,
      bytes: 300n * 4096n,
      onlyPages: 90 + 80 + 70,
    })
  })
  it('does not count what was read but never sent', () => {
    expect(buildReport(everyPageRun([10, 20, 30], false).records).everyPage).toMatchObject({
      times: 2,
      blackout: false,
      pages: 200,
      onlyPages: 170,
    })
    expect(buildReport(everyPageRun([10], false).records).everyPage).toBeNull()
  })
  it('is nothing where every tracker tells pages apart', () => {
    expect(buildReport(migrated().records).everyPage).toBeNull()
  })
})
