import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MAX_LINE_BYTES, type HelperEvent, type Op } from '../../src/protocol/protocol.js'
import { samples, samplesText } from './samples.js'

// Exhaustive by type: a new op or event that is missing here does not compile, and one without a sample fails.
const ops: Record<Op, true> = {
  hello: true,
  inventory: true,
  claim: true,
  memory: true,
  container: true,
  device: true,
  map: true,
  unmap: true,
  track: true,
  dirty: true,
  untrack: true,
  listen: true,
  connect: true,
  receive: true,
  precopy: true,
  cutover: true,
  rollback: true,
  check: true,
  release: true,
  status: true,
  cancel: true,
  ping: true,
  route: true,
  'expect-probe': true,
  probe: true,
  tune: true,
  proceed: true,
  'take-up': true,
  continue: true,
  stay: true,
  exec: true,
  finish: true,
  record: true,
}
const events: Record<HelperEvent['event'], true> = {
  'device-state': true,
  'round-start': true,
  progress: true,
  'round-end': true,
  'device-precopy': true,
  cutover: true,
  paused: true,
  settled: true,
  log: true,
}

describe('protocol-samples.ndjson', () => {
  const file = readFileSync(new URL('./protocol-samples.ndjson', import.meta.url), 'utf8')

  it('is the text of the typed samples', () => {
    expect(file).toBe(samplesText)
  })

  it('has a request and a reply of every op, and every event', () => {
    const seen = (kind: string) =>
      samples.flatMap((sample) => (sample.kind === kind && 'op' in sample ? [sample.op] : []))
    for (const op of Object.keys(ops)) {
      expect(seen('request')).toContain(op)
      expect(seen('reply')).toContain(op)
    }
    const seenEvents = samples.flatMap((sample) => (sample.kind === 'event' ? [sample.body.event] : []))
    expect(new Set(seenEvents)).toEqual(new Set(Object.keys(events)))
  })

  it('stays within the line limit', () => {
    for (const line of file.split('\n')) expect(Buffer.byteLength(line)).toBeLessThan(MAX_LINE_BYTES)
  })
})
