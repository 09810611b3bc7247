import { describe, expect, it } from 'vitest'
import type { BlackoutForecast } from '../../src/protocol/protocol.js'
import { buildReport } from '../../src/report/build.js'
import { forecastsOf } from '../../src/report/forecasts.js'
import type { EventRecord } from '../../src/journal/event.js'
import { statusOf } from '../../src/journal/status.js'
import { forecastsText } from '../../src/ui/forecast-text.js'
import { liveLines } from '../../src/ui/live.js'
import { plainLine } from '../../src/ui/plain.js'
import { statusText } from '../../src/ui/status-text.js'
import { interventionsText } from '../../src/ui/interventions-text.js'
import { advance, EMPTY_VIEW } from '../../src/ui/view-state.js'
import { migrated, started, type Tape } from './records.js'

const parts = { fixedUs: 0, pagesUs: 0, stateUs: 0, loadUs: 0, verifyUs: 0, roundTripUs: 0, hooksUs: 0 }
const range = (lowUs: number, expectedUs: number, highUs: number): BlackoutForecast => ({
  lowUs,
  expectedUs,
  highUs,
  parts,
})

function heldTape(): Tape {
  return started()
    .add({ type: 'phase-start', phase: 'pre-copy' })
    .helper({
      ...{ event: 'round-end', round: 3, sentBytes: '409600', zeroPages: 0, elapsedUs: 1, dirtyPages: 100 },
      ...{
        dirtyBytes: '409600',
        bytesPerSecond: '1048576',
        estimatedBlackoutUs: 4000,
        forecast: range(3000, 4000, 6000),
      },
    })
    .add(
      { type: 'hold', point: 'before-cutover', state: 'held', untilMs: Date.UTC(2026, 10, 22, 15, 47) },
      1_000_000,
    )
    .add(
      {
        type: 'set',
        key: 'downtime-limit',
        value: '5ms',
        limits: { downtimeLimitMs: 5, bandwidth: null, streams: 2 },
      },
      10,
    )
}
function letGo(): Tape {
  return heldTape()
    .add({ type: 'cutover-asked', state: 'refused', forecastUs: 9000, limitUs: 5000 }, 500_000)
    .add({ type: 'cutover-asked', state: 'accepted', forecastUs: 4000, limitUs: 5000 }, 500_000)
    .add({ type: 'hold', point: 'before-cutover', state: 'released' })
    .add(
      {
        ...{ type: 'hook', hook: 'drain', at: 'pre-cutover', on: 'ferry', ok: false, inBlackout: false },
        ...{
          elapsedUs: 1500,
          output: ['busy'],
          error: { code: 'hook/failed', message: 'hook drain ended with status 1' },
        },
      },
      1500,
    )
}

describe('a run that was steered', () => {
  it('says in its report what was done to it, in order', () => {
    const { interventions } = buildReport(letGo().end('rolled-back', 5).records)
    expect(interventionsText(interventions, {})).toMatchInlineSnapshot(`
      " AFTER  CHANGE DURING THE RUN
      1.00 s  held before-cutover for 1.00 s: continued
      1.00 s  set downtime-limit to 5ms
      1.50 s  cutover asked for: refused: blackout about 9.00 ms, limit 5.00 ms
      2.00 s  cutover asked for: continued: blackout about 4.00 ms, limit 5.00 ms

      HOOK   AT           ON        TIME  RESULT
      drain  pre-cutover  ferry  1.50 ms  [hook/failed] hook drain ended with status 1"
    `)
  })

  it('was held until its end when it was never continued', () => {
    const tape = heldTape().add({ type: 'cancel-asked' }, 2_000_000)
    expect(buildReport(tape.records).interventions.holds).toMatchObject([
      { state: 'ended', heldUs: 2_000_010 },
    ])
  })

  it('has nothing to say of a run that went by itself', () => {
    expect(interventionsText(buildReport(migrated().records).interventions, {})).toBeNull()
  })

  it('shows its hold, its forecast as a range, and its limits as they are now', () => {
    const status = statusOf(heldTape().records)
    const nowMs = Date.UTC(2026, 10, 22, 15, 17)
    expect(statusText(status, { live: true, nowMs })).toMatchInlineSnapshot(`
      "migrate two-devices: HELD before-cutover, times out in 30 min 00 s
      run 20261122T151733-4f2a
        round      3, 100 % of 400 KiB, 1.00 MiB/s, 400 KiB dirty after the last
        blackout   about 4.00 ms (3.00 ms to 6.00 ms), fits
        limits     downtime limit 5.00 ms, no bandwidth cap, 2 streams
        DEVICE  SOURCE  DESTINATION
        vgpu    -       -
        nic     -       -"
    `)
    expect(statusText(status, { live: false, nowMs })).toContain(
      'DIED: the ferry process that drove it has ended; `ferry recover 2026',
    )
    expect(statusOf(letGo().records)).toMatchObject({ held: null, cutover: { state: 'accepted' } })
  })

  it('is shown so while it lasts', () => {
    const lines = (records: readonly EventRecord[]) =>
      liveLines(records.reduce(advance, EMPTY_VIEW), 3_000_010, { width: 100, utf8: true, colour: false })
    expect(lines(heldTape().records)).toContain(
      '  HELD before-cutover for 2.00 s: `ferry cutover` continues it',
    )
    expect(lines(letGo().records).join('\n')).not.toContain('HELD')
    const last = (tape: Tape) => plainLine(tape.records.at(-1)!)
    expect(last(heldTape())).toBe('set downtime-limit to 5ms')
    expect(last(letGo())).toContain('hook drain at pre-cutover on ferry: failed after 1.50 ms: [hook/failed]')
  })
})

describe('what was forecast beside what happened', () => {
  const expected = {
    ...{ atLeastUs: 2000, expectedUs: 9000 },
    basis: { bandwidth: '1073741824', assumed: true, sample: '20261121T101112-aaaa' },
  }
  const blackout = {
    quiesceUs: 1,
    lastPagesUs: 1,
    stateUs: 1,
    loadUs: 1,
    verifyUs: 0,
    resumeUs: 1,
    totalUs: 4500,
  }
  const reply = {
    outcome: 'running',
    blackout,
    lastPages: 1,
    lastBytes: '1',
    devices: [],
    verified: null,
  } as const
  const records = (): readonly EventRecord[] =>
    heldTape().records.map((record) =>
      record.body.type === 'run-start' ? { ...record, body: { ...record.body, expected } } : record,
    )

  it('gives the difference, and whether it was in the range', () => {
    const forecasts = forecastsOf(records(), { ...reply, forecast: range(3000, 4100, 4400) })
    expect(forecastsText(forecasts, {})).toMatchInlineSnapshot(`
      "FORECAST  BLACKOUT                      ERROR     BASIS
      plan      about 9.00 ms                 -4.50 ms  1.00 GiB/s assumed, dirty-log 20261121T101112-aaaa
      round 3   4.00 ms (3.00 ms to 6.00 ms)  +500 µs
      cutover   4.10 ms (3.00 ms to 4.40 ms)  +400 µs   above its range
      happened  4.50 ms"
    `)
  })

  it('does not call a cutover that was undone a blackout', () => {
    const forecasts = forecastsOf(records(), { ...reply, outcome: 'rolled-back', forecast: range(1, 2, 3) })
    expect(forecasts?.happenedUs).toBeNull()
    expect(forecastsText(forecasts, {})).not.toContain('happened')
  })

  it('is left out where there is nothing to compare', () => {
    expect(buildReport(migrated().records).forecasts).toBeNull()
  })
})
