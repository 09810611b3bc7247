import { describe, expect, it } from 'vitest'
import { readSetting } from '../../src/run/settings.js'

const LIMITS = { downtimeLimitMs: 300, bandwidth: null, streams: 2 }

describe('what can be set', () => {
  it.each([
    ['downtime-limit', '1.5s', '1500ms', { downtimeLimitMs: 1500 }],
    ['bandwidth', '8Gbit/s', '1000000000B/s', { bandwidth: '1000000000' }],
    ['bandwidth', 'none', 'none', { bandwidth: null }],
    ['streams', '4', '4', { streams: 4 }],
  ] as const)('%s %s', (key, text, value, tune) => {
    const setting = readSetting(key, text, LIMITS, 4)
    expect([setting.value, setting.tune]).toEqual([value, tune])
    // What the journal says reads back as the same.
    expect(readSetting(key, setting.value, LIMITS, 4)).toEqual(setting)
  })

  it.each([
    ['downtime-limit', '300', 'downtime-limit 300: a time needs a unit'],
    ['downtime-limit', '10us', 'whole number of milliseconds'],
    ['bandwidth', 'fast', 'write a rate'],
    ['bandwidth', '0B/s', 'more than zero'],
    ['streams', '5', 'from 1 to 4'],
    ['streams', '0', 'from 1 to 4'],
    ['streams', 'two', 'from 1 to 4'],
  ] as const)('%s is not %s', (key, text, problem) => {
    expect(() => readSetting(key, text, LIMITS, 4)).toThrow(problem)
  })
})
