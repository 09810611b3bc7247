import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expand } from '../../../src/profile/text/interpolate.js'
import { changed, diagnose, parse, VALID } from '../samples.js'

const env = { A: 'one', B: 'two', EMPTY: '', NAME_1: 'x' }

describe('expansion', () => {
  it.each([
    ['plain', 'plain'],
    ['${A}', 'one'],
    ['<${A}-${B}>', '<one-two>'],
    ['${NAME_1}', 'x'],
    ['$$', '$'],
    ['$${A}', '${A}'],
    ['$$$$', '$$'],
    ['${NO:-default}', 'default'],
    ['${NO-default}', 'default'],
    ['${EMPTY:-default}', 'default'],
    ['${EMPTY-default}', ''],
    ['${NO:-}', ''],
    ['${A:-default}', 'one'],
    ['${NO:-${B}}', 'two'],
    ['${NO:-${NO:-deep}}', 'deep'],
    ['${NO:-a$$b}', 'a$b'],
    ['${A:?needed}', 'one'],
    ['${EMPTY?needed}', ''],
    ['${A:+instead}', 'instead'],
    ['${EMPTY:+instead}', ''],
    ['${EMPTY+instead}', 'instead'],
    ['${NO:+instead}', ''],
    ['${NO:-with space, and: colon}', 'with space, and: colon'],
  ])('%s is %s', (input, text) => {
    expect(expand(input, env)).toEqual({ text, problems: [] })
  })

  it.each(['$', '$A', '${', '${}', '${A', '${1A}', '${A B}', '${A:}', '${A:=x}', '${-x}'])(
    '%s cannot be read',
    (input) => {
      expect(expand(input, env).problems.map(({ code }) => code)).toEqual(['profile/variable-syntax'])
    },
  )

  it('gives the reason of ${VAR:?why}', () => {
    expect(expand('${NO:?the UUID of the source}', env).problems).toMatchObject([
      { code: 'profile/unset-variable', message: 'the variable `NO` is not set: the UUID of the source' },
    ])
  })

  it('finds every missing variable of a value', () => {
    expect(expand('${X}${Y}', {}).problems).toHaveLength(2)
  })

  it('suggests a variable that is set', () => {
    expect(expand('${SOURCE_UID}', { SOURCE_UUID: 'u' }).problems[0]?.help).toBe(
      'did you mean `${SOURCE_UUID}`?',
    )
  })

  it('gives back any text whose dollars are doubled', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(expand(text.replaceAll('$', '$$$$'), {})).toEqual({ text, problems: [] })
      }),
    )
  })

  it('puts in any value as it is, and does not expand it again', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        expect(expand('[${V}]', { V: value })).toEqual({ text: `[${value}]`, problems: [] })
      }),
    )
  })
})

describe('in a profile', () => {
  it('makes a number of an unquoted value, and text of a quoted one', () => {
    const text = `${VALID}migration: { precopy: { rounds: "\${R}" } }\n`
    expect(diagnose(text, { R: '7' })[0]?.code).toBe('profile/wrong-type')
    const plain = `${VALID}migration:\n  precopy:\n    rounds: \${R}\n`
    expect(parse(plain, { R: '7' }).migration.precopy.maxRounds).toBe(7)
  })

  it('takes null and booleans from unquoted values', () => {
    const text = `${VALID}migration:\n  bandwidth: \${B}\ntrackers:\n  forbidAll: \${F}\n`
    const profile = parse(text, { B: 'null', F: 'true' })
    expect(profile.migration.bandwidth).toBe(null)
    expect(profile.trackers.forbidAll).toBe(true)
  })

  it('takes an IOVA beyond 2^53 exactly', () => {
    const text = changed('iova: 0x0', 'iova: "${I}"')
    expect(parse(text, { I: '0x1000000000000000' }).memory[0]?.iova).toBe(0x1000_0000_0000_0000n)
  })

  it('cannot change the structure, whatever the value', () => {
    const text = changed('name: vm', 'name: ${V}')
    for (const value of ['vm\nextra: 1', '{ a: b }', '[x]', '*a', '!tag x', '# c', 'a: b']) {
      expect(diagnose(text, { V: value }).map(({ code }) => code)).toEqual(['profile/name'])
    }
  })

  it('leaves keys and comments alone', () => {
    expect(parse(`# \${NOT_SET}\n${VALID}`).name).toBe('vm')
    expect(diagnose(`${VALID}\${A}: 1\n`, { A: 'trackers' }).map(({ code }) => code)).toEqual([
      'profile/unknown-key',
    ])
  })

  it('marks the expression, not the whole value', () => {
    const [found] = diagnose(changed('name: vm', 'name: "vm-${A}-${NO}"'), { A: '1' })
    expect(found).toMatchObject({ code: 'profile/unset-variable', line: 2, column: 16, endColumn: 21 })
  })
})
