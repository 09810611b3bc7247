import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readMoment } from '../../src/control/moment.js'

const NOW = Date.parse('2026-11-22T15:17:33.500Z')

describe('a moment', () => {
  it('by date and time is that one', () => {
    expect(readMoment('2026-11-23T02:30:00Z', NOW)).toBe(Date.parse('2026-11-23T02:30:00Z'))
    expect(readMoment('2026-11-23 02:30+0100', NOW)).toBe(Date.parse('2026-11-23T01:30:00Z'))
  })

  it('by the clock is the next time it shows it', () => {
    fc.assert(
      fc.property(fc.nat(23), fc.nat(59), fc.nat(86_400_000), (hours, minutes, afterMs) => {
        const now = NOW + afterMs
        const ms = readMoment(`${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`, now)
        const at = new Date(ms)
        expect([at.getHours(), at.getMinutes(), at.getSeconds()]).toEqual([hours, minutes, 0])
        expect(ms).toBeGreaterThan(now)
        expect(ms - now).toBeLessThanOrEqual(25 * 3_600_000)
      }),
    )
  })

  it.each(['', 'soon', '25:00', '12:60', '2026-13-01T00:00:00Z', '10m', '2026-11-23', '1700000000'])(
    'is not %j',
    (text) => expect(() => readMoment(text, NOW)).toThrow('not a time'),
  )

  it('must lie ahead', () => {
    expect(() => readMoment('2026-11-22T15:17:33Z', NOW)).toThrow('has passed')
  })
})
