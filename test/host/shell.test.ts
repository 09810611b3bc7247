import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shellLine, wrapped } from '../../src/host/shell.js'

const word = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom(...`'"\\$\`!*?~#&|;<>(){}[] \n\t-=a`.split('')) }),
)
const sound = word.filter((text) => !text.includes('\0') && !/\p{Cs}/u.test(text))

describe('shellLine', () => {
  it('is read back by a shell as the very words', () => {
    fc.assert(
      fc.property(fc.array(sound, { minLength: 1, maxLength: 5 }), (words) => {
        const out = execFileSync('sh', ['-c', shellLine(['printf', '%s\\0', ...words])], { encoding: 'utf8' })
        expect(out.split('\0').slice(0, -1)).toEqual(words)
      }),
      { numRuns: 60 },
    )
  })
  it('leaves plain words as they are, for logs', () => {
    expect(shellLine(['/usr/libexec/ferry-helper', '--serve'])).toBe('/usr/libexec/ferry-helper --serve')
    expect(shellLine(['~root/x', ''])).toBe("'~root/x' ''")
  })
})

describe('wrapped', () => {
  it('puts the environment behind sudo, which would clear it', () => {
    expect(wrapped(['drain'], { become: 'sudo', env: { A: '1', B: 'x y' } })).toEqual([
      'sudo',
      '-n',
      '--',
      'env',
      'A=1',
      'B=x y',
      'drain',
    ])
    expect(wrapped(['drain'], {})).toEqual(['drain'])
  })
  it.each(['', 'A B', '1A', 'A=B', '-i'])('refuses %j as the name of a variable', (name) => {
    expect(() => wrapped(['x'], { env: { [name]: '1' } })).toThrow(TypeError)
  })
})
