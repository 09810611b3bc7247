import { describe, expect, it } from 'vitest'
import { bars, gauge, isUtf8 } from '../../src/ui/chart.js'
import { table } from '../../src/ui/table.js'

const COLUMNS = [{ title: 'DEVICE' }, { title: 'SIZE', align: 'right' }, { title: 'WHAT' }] as const
const ROWS = [
  ['vgpu', '8', 'a long remark'],
  ['0000:41:00.1', '1024'],
]

describe('table', () => {
  it('aligns columns, figures to the right, without trailing blanks', () => {
    expect(table(COLUMNS, ROWS)).toBe(
      ['DEVICE        SIZE  WHAT', 'vgpu             8  a long remark', '0000:41:00.1  1024'].join('\n'),
    )
  })

  it('cuts at the width of the terminal, and marks the cut', () => {
    const lines = table(COLUMNS, ROWS, { width: 24, indent: ' ' }).split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBe(24)
    expect(lines[1]).toBe(' vgpu             8  a …')
  })

  it('has its titles when there is nothing to show', () => {
    expect(table(COLUMNS, [])).toBe('DEVICE  SIZE  WHAT')
  })
})

describe('charts', () => {
  it('show little as little, nothing as nothing, in blocks or in ASCII', () => {
    const values = [0n, 1n, 500n, 1000n, 2000n]
    expect(bars(values, 1000n, true)).toBe(' ▁▄██')
    expect(bars(values, 1000n, false)).toBe(' .=@@')
    expect(bars([0n], 0n, true)).toBe(' ')
  })

  it('fill a gauge by the part done', () => {
    expect(gauge(1n, 2n, 4, true)).toBe('██░░')
    expect(gauge(3n, 2n, 4, false)).toBe('####')
    expect(gauge(0n, 0n, 2, false)).toBe('..')
  })

  it('take the character set from the locale as the C library does', () => {
    expect(isUtf8({ LANG: 'C.UTF-8' })).toBe(true)
    expect(isUtf8({ LANG: 'de_DE.utf8' })).toBe(true)
    expect(isUtf8({ LC_ALL: 'C', LANG: 'C.UTF-8' })).toBe(false)
    expect(isUtf8({ LC_ALL: '', LANG: 'C.UTF-8' })).toBe(true)
    expect(isUtf8({})).toBe(false)
  })
})
