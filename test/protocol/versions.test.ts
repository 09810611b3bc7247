import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  namesIn,
  needsNewer,
} from '../../src/protocol/versions.js'
import { samples, samplesText, type Recorded } from './samples.js'

const older = Array.from(
  { length: PROTOCOL_VERSION - OLDEST_PROTOCOL_VERSION },
  (_, index) => OLDEST_PROTOCOL_VERSION + index,
)
const file = (version: number) => new URL(`./recorded/${version}.ndjson`, import.meta.url)
const requests = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line): Recorded => JSON.parse(line))
    .filter(({ kind }) => kind === 'request')

describe('versions of the control protocol', () => {
  it.each(older)('%d has a recording, of other bytes than today', (version) => {
    expect(existsSync(file(version))).toBe(true)
    expect(readFileSync(file(version), 'utf8')).not.toBe(samplesText)
  })

  /** A new request or parameter that SINCE does not name would reach a helper that refuses it. */
  it.each(older)('every request of today is as %d had it, or is held back from it', (version) => {
    const known = new Set(
      requests(readFileSync(file(version), 'utf8')).flatMap(({ op, body }) => namesIn(op ?? '', body.params)),
    )
    for (const { op, body } of requests(samplesText)) {
      const strange = namesIn(op ?? '', body.params).filter((name) => !name.includes('=') && !known.has(name))
      if (strange.length > 0)
        expect([op, strange, needsNewer(version, op ?? '', body.params)]).not.toContain(undefined)
    }
    expect(samples.length).toBeGreaterThan(100)
  })

  it('what a version brought is found wherever it is, and only by one that lacks it', () => {
    const since = { 3: ['device.sim.trackers=process'], 4: ['park', 'memory.regions.shared'] }
    const memory = { regions: [{ iova: '0x0' }, { iova: '0x1000', shared: true }] }
    expect(needsNewer(3, 'memory', memory, since)).toEqual({ what: 'memory.regions.shared', version: 4 })
    expect(needsNewer(3, 'park', {}, since)).toEqual({ what: 'park', version: 4 })
    const device = { sim: { trackers: ['device', 'process'] } }
    expect(needsNewer(2, 'device', device, since)).toMatchObject({ version: 3 })
    expect(needsNewer(3, 'device', device, since)).toBeUndefined()
    expect(needsNewer(4, 'memory', memory, since)).toBeUndefined()
  })
})
