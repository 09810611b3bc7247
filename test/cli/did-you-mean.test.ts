import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, editDistance } from '../../src/did-you-mean.js'

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', '', 3],
    ['kitten', 'sitting', 3],
    ['plna', 'plan', 1],
    ['ca', 'abc', 3],
  ])('%s -> %s is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
  })

  it('is a distance: symmetric, zero for equals only, at most the longer length', () => {
    const word = fc.string({ maxLength: 12, unit: fc.constantFrom('a', 'b', 'c') })
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b)
        expect(distance).toBe(editDistance(b, a))
        expect(distance === 0).toBe(a === b)
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length))
        expect(editDistance(a, b, 2)).toBe(Math.min(2, distance))
      }),
    )
  })
})

describe('didYouMean', () => {
  const commands = ['validate', 'devices', 'plan', 'pin', 'dirty-log', 'migrate', 'report']

  it.each([
    ['validte', 'validate'],
    ['plna', 'plan'],
    ['PLAN', 'plan'],
    ['mirgate', 'migrate'],
    ['dirtylog', 'dirty-log'],
    ['pins', 'pin'],
    ['quit', undefined],
    ['', undefined],
  ])('%s: %s', (word, meant) => {
    expect(didYouMean(word, commands)).toBe(meant)
  })

  it('finds any word with one slip in it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...commands.filter((name) => name.length > 4)),
        fc.nat(),
        fc.constantFrom('x', ''),
        (word, at, slip) => {
          const place = at % word.length
          expect(didYouMean(word.slice(0, place) + slip + word.slice(place + 1), commands)).toBe(word)
        },
      ),
    )
  })
})
