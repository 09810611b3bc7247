import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { count, duration, listed, percent, plainSize, plural, rate, rateOver, size } from '../src/units.js'

describe('size', () => {
  it.each([
    [0n, '0 B'],
    [1023n, '1023 B'],
    [1024n, '1.00 KiB'],
    [640n * 1024n, '640 KiB'],
    [1_048_575n, '1.00 MiB'],
    [1536n * 1024n * 1024n, '1.50 GiB'],
    [2n ** 64n - 1n, '16.0 EiB'],
  ])('%d is %s', (bytes, text) => {
    expect(size(bytes)).toBe(text)
  })

  it('is off by less than a percent, and never shows four digits above bytes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n }), (bytes) => {
        const [, figure = '', unit = ''] = /^([\d.]+) (\w+)$/u.exec(size(bytes)) ?? []
        const scale = 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'].indexOf(unit)
        expect(Math.abs(Number(figure) * scale - Number(bytes))).toBeLessThanOrEqual(Number(bytes) * 0.01)
        if (unit !== 'B') expect(Number(figure)).toBeLessThanOrEqual(1024)
      }),
    )
  })
})

describe('a size in a sentence', () => {
  it.each([
    [4096n, '4 KiB'],
    [512n * 1024n * 1024n, '512 MiB'],
    [8n * 1024n * 1024n + 1n, '8.00 MiB'],
    [1536n, '1.50 KiB'],
    [0n, '0 B'],
  ])('%d is %s', (bytes, text) => {
    expect(plainSize(bytes)).toBe(text)
  })
})

describe('duration', () => {
  it.each([
    [0, '0 µs'],
    [85, '85 µs'],
    [999.4, '999 µs'],
    [999.6, '1.00 ms'],
    [4930, '4.93 ms'],
    [999_499, '999 ms'],
    [999_600, '1.00 s'],
    [2_500_000, '2.50 s'],
    [99_960_000, '1 min 40 s'],
    [185_000_000, '3 min 05 s'],
    [3_599_700_000, '1 h 00 min'],
    [7_800_000_000, '2 h 10 min'],
  ])('%d µs is %s', (us, text) => {
    expect(duration(us)).toBe(text)
  })
})

describe('the rest', () => {
  it('counts, rates and parts', () => {
    expect([count(131_072), count(12n), count(1_000_000)]).toEqual(['131 072', '12', '1 000 000'])
    expect([plural(1, 'page'), plural(2048, 'page')]).toEqual(['1 page', '2 048 pages'])
    expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c'])
    expect(rate(1024n ** 3n)).toBe('1.00 GiB/s')
    expect(rateOver(4096n, 500_000)).toBe(8192n)
    expect(rateOver(4096n, 0)).toBeNull()
    expect([percent(999n, 1000n), percent(5n, 5n), percent(0n, 0n)]).toEqual(['99 %', '100 %', '-'])
  })
})
