import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineReader, type Line } from '../../src/host/lines.js'

/** Feeds `bytes` in pieces cut at `cuts`. */
function read(bytes: Buffer, cuts: readonly number[], limit?: number): Line[] {
  const reader = new LineReader(limit)
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).flatMap((end, index) => reader.push(bytes.subarray(at[index], end)))
}

describe('LineReader', () => {
  it('gives the same lines however the bytes are cut, multi-byte characters included', () => {
    const text = fc.array(
      fc.string({ unit: 'binary' }).filter((line) => !line.includes('\n') && line.trim() !== ''),
    )
    fc.assert(
      fc.property(text, fc.array(fc.nat()), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const expected = lines.map((line) => Buffer.from(line).toString('utf8'))
        expect(read(bytes, cuts)).toEqual(expected.map((line) => ({ kind: 'line', text: line })))
      }),
    )
  })

  it('flags a line over the limit once, keeps only its start, and goes on with the next', () => {
    fc.assert(
      fc.property(fc.integer({ min: 11, max: 200 }), fc.array(fc.nat()), (length, cuts) => {
        const lines = read(Buffer.from(`before\n${'x'.repeat(length)}\nafter\n`), cuts, 10)
        expect(lines.map(({ kind }) => kind)).toEqual(['line', 'too-long', 'line'])
        expect(lines.at(-1)).toEqual({ kind: 'line', text: 'after' })
      }),
    )
  })

  it('takes a line of just the limit', () => {
    expect(read(Buffer.from(`${'x'.repeat(10)}\n`), [], 10)).toEqual([{ kind: 'line', text: 'x'.repeat(10) }])
  })

  it('keeps back a line without its newline, and skips blank ones', () => {
    expect(read(Buffer.from('\n  \n{"torn":'), [])).toEqual([])
  })
})
