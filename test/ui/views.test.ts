import { describe, expect, it } from 'vitest'
import type { EventRecord } from '../../src/journal/event.js'
import { liveLines } from '../../src/ui/live.js'
import { heartbeatText, plainLine, PlainView } from '../../src/ui/plain.js'
import { advance, EMPTY_VIEW, type ViewState } from '../../src/ui/view-state.js'
import { migrated, started, type Tape } from '../report/records.js'

const LOOK = { width: 80, utf8: true, colour: false }
function after(records: readonly EventRecord[]): ViewState {
  return records.reduce(advance, EMPTY_VIEW)
}
function inPreCopy(): Tape {
  const tape = started()
    .phase('pin', 310_000)
    .add({ type: 'phase-start', phase: 'pre-copy' })
    .add({
      type: 'intent',
      step: 1,
      phase: 'pre-copy',
      side: 'source',
      op: 'precopy',
      text: 'send the memory',
      params: {},
    })
    .helper({ event: 'device-state', device: 'vgpu', from: 'RUNNING', to: 'PRE_COPY', elapsedUs: 9, atUs: 1 })
  for (const [round, dirty] of [
    [1, 64],
    [2, 16],
  ] as const) {
    tape
      .helper({ event: 'round-start', round, pages: 1, bytes: `${64 * 1024 * 1024}`, trackers: [] })
      .helper({
        event: 'round-end',
        round,
        sentBytes: `${64 * 1024 * 1024}`,
        zeroPages: 0,
        elapsedUs: 1000,
        dirtyPages: 1,
        dirtyBytes: `${dirty * 1024 * 1024}`,
        bytesPerSecond: `${1024 ** 3}`,
        estimatedBlackoutUs: dirty * 1000,
      })
  }
  const mib = 1024 * 1024
  return tape
    .helper({ event: 'round-start', round: 3, pages: 1, bytes: `${16 * mib}`, trackers: [] })
    .helper({
      event: 'progress',
      round: 3,
      sentBytes: `${8 * mib}`,
      roundBytes: `${16 * mib}`,
      bytesPerSecond: `${1024 ** 3}`,
    })
}

describe('the live view', () => {
  it('shows phase, round, rate, dirt, the estimate against the limit, and the devices', () => {
    expect(liveLines(after(inPreCopy().records), 810_000, LOOK)).toEqual([
      'two-devices  run 20261122T151733-4f2a',
      '✔ pin 310 ms',
      '▸ pre-copy 500 ms  send the memory',
      '  round 3  ██████████░░░░░░░░░░  8.00 MiB of 16.0 MiB  1.00 GiB/s',
      '  dirty after each round  █▂  last 16.0 MiB',
      '  blackout now about 16.0 ms, limit 500 ms',
      '  vgpu PRE_COPY',
    ])
  })

  it('never takes more than eight lines, nor more than the width', () => {
    const { records } = migrated()
    for (let length = 1; length <= records.length; length++) {
      const lines = liveLines(after(records.slice(0, length)), 1_000_000, { ...LOOK, width: 40 })
      expect(lines.length).toBeLessThanOrEqual(8)
      for (const line of lines) expect([...line].length).toBeLessThanOrEqual(40)
    }
  })

  it('says that a cancel is under way and how to stop waiting, and draws without block glyphs', () => {
    const lines = liveLines(after(inPreCopy().add({ type: 'cancel-asked' }).records), 810_000, {
      ...LOOK,
      utf8: false,
    })
    expect(lines[0]).toContain('cancelling; Ctrl-C again detaches')
    expect(lines.join('')).toMatch(/^[\x20-\x7e]*$/u)
  })
})

describe('the plain view', () => {
  it('has a line for each event that matters, and none for progress', () => {
    const lines = migrated().records.map(plainLine)
    expect(lines).toContain('run 20261122T151733-4f2a: migrate two-devices')
    expect(lines).toContain(
      'round 1: 384 MiB in 179 ms (2.10 GiB/s), 11.7 MiB re-dirtied, blackout now about 7.45 ms',
    )
    expect(lines).toContain('source: vgpu: PRE_COPY -> STOP_COPY in 9 µs')
    expect(lines.at(-1)).toBe('run ended: done after 984 ms')
    const progress = inPreCopy().records.at(-1)
    expect(progress && plainLine(progress)).toBeNull()
  })

  it('gives a sign of life after five quiet seconds, and only then', () => {
    const written: string[] = []
    let nowUs = 0
    const view = new PlainView(
      (line) => written.push(line),
      () => nowUs,
    )
    for (const record of inPreCopy().records) view.take(record)
    const before = written.length
    nowUs = 3_000_000
    view.heartbeat()
    expect(written).toHaveLength(before)
    nowUs = 6_000_000
    view.heartbeat()
    view.heartbeat()
    view.stop()
    expect(written.slice(before)).toEqual([
      '[   6.000] pre-copy: 5.69 s, round 3, 50 % of 16.0 MiB, 1.00 GiB/s\n',
    ])
  })

  it('names the step under way where there are no rounds', () => {
    const tape = started().add({ type: 'phase-start', phase: 'pin' })
    tape.add({
      type: 'intent',
      step: 1,
      phase: 'pin',
      side: 'source',
      op: 'map',
      text: 'map 1 TiB',
      params: {},
    })
    expect(heartbeatText(after(tape.records), 8_000_000)).toBe('pin: 8.00 s, 1 step under way: map 1 TiB')
  })
})
