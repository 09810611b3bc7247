import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatRate,
  formatSize,
  formatTime,
  parsePercent,
  parseRate,
  parseSize,
  parseTime,
} from '../../../src/profile/schema/quantity.js'

const MAX = 2n ** 64n - 1n

describe('sizes', () => {
  it.each([
    ['512MiB', 536_870_912n],
    ['4KiB', 4096n],
    ['1.5 GiB', 1_610_612_736n],
    ['0x100000000', 0x1_0000_0000n],
    ['0xfffffffffffff000', 0xffff_ffff_ffff_f000n],
    ['4096', 4096n],
    ['7B', 7n],
    [' 2TiB ', 2n ** 41n],
  ])('%s', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes })
  })

  it.each([
    '',
    'x',
    '-1',
    '1.5',
    '0.3KiB',
    '1e9',
    '0x',
    '0xg',
    '1 2',
    '١KiB',
    'MiB',
    '1MiBs',
    '1mib',
    '16777216TiB',
  ])('%s is none', (text) => {
    expect(parseSize(text).ok).toBe(false)
  })

  it.each([
    ['512MB', '512MiB'],
    ['512m', '512MiB'],
    ['4K', '4KiB'],
    ['1.5 gb', '1.5GiB'],
  ])('%s is ambiguous: did you mean %s?', (text, meant) => {
    expect(parseSize(text)).toMatchObject({
      ok: false,
      problem: expect.stringContaining(`did you mean ${meant}?`) as string,
    })
  })

  it('refuses numbers that JavaScript has rounded', () => {
    expect(parseSize(2 ** 60).ok).toBe(false)
    expect(parseSize(1.5).ok).toBe(false)
    expect(parseSize(-1).ok).toBe(false)
  })

  it('formats what it parses, for every number of bytes', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, MAX), fc.integer({ min: 0, max: 40 }), (bytes, shift) => {
        const value = (bytes << BigInt(shift)) & MAX
        expect(parseSize(formatSize(value))).toEqual({ ok: true, value })
        expect(parseSize(`0x${value.toString(16)}`)).toEqual({ ok: true, value })
      }),
    )
  })

  it('never throws and never leaves 64 bits', () => {
    const almost = fc.stringMatching(/^[0-9.xa-fKMGTiB /-]{0,24}$/u)
    fc.assert(
      fc.property(fc.oneof(fc.string(), almost), (text) => {
        const parsed = parseSize(text)
        if (parsed.ok) expect(parsed.value >= 0n && parsed.value <= MAX).toBe(true)
        else expect(parsed.problem).not.toBe('')
      }),
    )
  })
})

describe('times', () => {
  it.each([
    ['300ms', 300_000],
    ['60s', 60_000_000],
    ['1.5s', 1_500_000],
    ['2m', 120_000_000],
    ['1h', 3_600_000_000],
    ['50us', 50],
    ['0ms', 0],
  ])('%s', (text, us) => {
    expect(parseTime(text)).toEqual({ ok: true, value: us })
  })

  it.each(['', '300', 'ms', '-1s', '0.5us', '1d', '99999999999h'])('%s is none', (text) => {
    expect(parseTime(text).ok).toBe(false)
  })

  it('asks for the unit of a bare number', () => {
    expect(parseTime(300)).toEqual({ ok: false, problem: 'a time needs a unit: 300ms or 300s?' })
  })

  it('formats what it parses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 13 }), (us) => {
        expect(parseTime(formatTime(us))).toEqual({ ok: true, value: us })
      }),
    )
  })
})

describe('rates', () => {
  it.each([
    ['100MiB/s', 104_857_600n],
    ['10Gbit/s', 1_250_000_000n],
    ['8bit/s', 1n],
    ['0B/s', 0n],
  ])('%s', (text, bytes) => {
    expect(parseRate(text)).toEqual({ ok: true, value: bytes })
  })

  it.each(['100MiB', '100', '100/s', '1bit/s', '10Gb/s', '/s'])('%s is none', (text) => {
    expect(parseRate(text).ok).toBe(false)
  })

  it('formats what it parses', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, MAX), (rate) => {
        expect(parseRate(formatRate(rate))).toEqual({ ok: true, value: rate })
      }),
    )
  })
})

describe('percentages', () => {
  it('reads 0 to 100 with or without the sign, and nothing else', () => {
    for (let percent = 0; percent <= 100; percent++) {
      expect(parsePercent(percent)).toEqual({ ok: true, value: percent })
      expect(parsePercent(`${percent}%`)).toEqual({ ok: true, value: percent })
    }
    for (const text of ['101%', '-1%', '1.5%', '%', '', 101, 0.5]) expect(parsePercent(text).ok).toBe(false)
  })
})
