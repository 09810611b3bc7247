import { describe, expect, it } from 'vitest'
import { changed, diagnose, refusal, VALID } from '../samples.js'

const rendered = (text: string): string => refusal(text).detail ?? ''

describe('findings as text', () => {
  it('look like a compiler’s', () => {
    expect(rendered(`${VALID}    trakcer: auto\n`)).toBe(
      [
        'error[profile/unknown-key]: unknown key `trakcer` in devices[0]',
        '  --> vm.yaml:11:5',
        '   |',
        '11 |     trakcer: auto',
        '   |     ^^^^^^^ unknown key',
        '   = help: did you mean `tracker`?',
      ].join('\n'),
    )
  })

  it('keep tabs, so that the caret stands under its place', () => {
    const lines = rendered(changed('name: vm', 'name:\t\t/vm')).split('\n')
    expect(lines[3]).toBe('2 | name:\t\t/vm')
    expect(lines[4]).toMatch(/^ {2}\| {6}\t\t\^\^\^ /u)
  })

  it('count wide characters as two columns', () => {
    const lines = rendered(changed('name: vm', '"名前": 1')).split('\n')
    expect(lines).toContain('2 | "名前": 1')
    expect(lines).toContain('  | ^^^^^^ unknown key')
  })

  it('cut long lines around the place', () => {
    const text = changed('{ host: local }', `{ host: local${' '.repeat(500)}, hots: 1${' '.repeat(500)}}`)
    const [, , , line = '', caret = ''] = rendered(text).split('\n')
    expect(line.length).toBeLessThan(120)
    expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('hots')
  })

  it('mark the first line of what spans several', () => {
    const text = changed('{ host: local }', '[\n  1,\n  2 ]')
    expect(rendered(text).split('\n')[4]).toBe('  |         ^ expected a mapping, found a list')
    expect(diagnose(text)[0]).toMatchObject({ line: 3, column: 9, endColumn: 10 })
  })

  it('never pass control characters to the terminal', () => {
    const text = changed('name: vm', 'name: "\u009b31m/x\u202e"')
    expect(rendered(text)).toContain('\ufffd31m')
    expect(rendered(text)).not.toMatch(/[\u009b\u202e]/u)
  })

  it('stop after forty, and say how many more there are; the data has all', () => {
    const text = VALID + Array.from({ length: 60 }, (_, index) => `zzz${index}: 1\n`).join('')
    expect(diagnose(text)).toHaveLength(60)
    expect(rendered(text).match(/^error/gmu)).toHaveLength(40)
    expect(rendered(text)).toMatch(/… and 20 more$/u)
  })
})
