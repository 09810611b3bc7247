import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decideRecovery,
  type DestinationFound,
  type Recovery,
  type SourceFound,
} from '../../src/recovery/decide.js'

const SOURCES: readonly SourceFound[] = [
  'answers',
  'runs',
  'ran',
  'released',
  'gone-committed',
  'gone-open',
  'gone-unknown',
  'hidden',
  'unreachable',
  'dead',
]
const DESTINATIONS: readonly DestinationFound[] = [
  'runs',
  'settled',
  'gone-settled',
  'stuck',
  'open',
  'discarded',
  'gone-committed',
  'gone-handing',
  'gone-unknown',
  'gone-open',
  'gone-discarded',
  'hidden',
  'unreachable',
  'dead',
]
/** Found like this, a destination may be running now, or may start to without being asked again. */
const MAY_RUN: readonly DestinationFound[] = [
  'runs',
  'settled',
  'gone-settled',
  'stuck',
  'hidden',
  'unreachable',
]

const decide = (
  source: SourceFound,
  destination: DestinationFound,
  as: 'source' | 'destination' | null = null,
): Recovery => decideRecovery(source, destination, { as })

describe('decideRecovery', () => {
  it('never lets the source run while the destination may, nor the destination without the source’s COMMIT', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SOURCES),
        fc.constantFrom(...DESTINATIONS),
        fc.constantFrom(null, 'source' as const, 'destination' as const),
        (source, destination, as) => {
          const decided = decide(source, destination, as)
          if (source === 'hidden' || destination === 'hidden') expect(decided.do).toBe('refuse')
          if (decided.do === 'go-back') {
            expect(MAY_RUN).not.toContain(destination)
            expect(source).not.toBe('unreachable')
            // A destination that answers is asked; one that is gone without a word is made to have given it.
            expect(decided.discard).toBe(
              destination === 'open' ? 'ask' : destination === 'gone-open' ? 'record' : 'none',
            )
            if (['gone-committed', 'gone-handing', 'gone-unknown', 'dead'].includes(destination))
              expect([source, as]).toEqual(['answers', 'source'])
          }
          if (decided.do === 'finish') {
            // The source has no way back: it has committed and is gone, or a person says so.
            expect(['open', 'stuck']).toContain(destination)
            if (destination === 'open' && source !== 'gone-committed')
              expect([['dead', 'gone-unknown'].includes(source), as]).toEqual([true, 'destination'])
            expect(['runs', 'unreachable']).not.toContain(source)
          }
          if (as === 'source') expect(['settle', 'finish']).not.toContain(decided.do)
          if (as === 'destination') expect(decided.do).not.toBe('go-back')
          if (decided.do === 'settle') expect(['runs', 'settled', 'gone-settled']).toContain(destination)
        },
      ),
    )
  })

  it.each<[SourceFound, DestinationFound, Partial<Recovery>]>([
    ['answers', 'runs', { do: 'settle' }],
    ['answers', 'settled', { do: 'settle' }],
    ['gone-committed', 'settled', { do: 'nothing', outcome: 'done' }],
    ['answers', 'gone-settled', { do: 'settle' }],
    ['released', 'gone-settled', { do: 'nothing', outcome: 'done' }],
    ['ran', 'gone-discarded', { do: 'nothing', outcome: 'rolled-back' }],
    ['ran', 'open', { do: 'go-back', discard: 'ask' }],
    ['ran', 'gone-committed', { do: 'refuse', outcome: 'needs-person' }],
    ['answers', 'open', { do: 'go-back', discard: 'ask' }],
    ['gone-committed', 'open', { do: 'finish' }],
    ['answers', 'gone-open', { do: 'go-back', discard: 'record' }],
    ['runs', 'discarded', { do: 'nothing', outcome: 'rolled-back' }],
    ['runs', 'runs', { do: 'refuse', outcome: 'sides-disagree' }],
    ['answers', 'gone-committed', { do: 'refuse', outcome: 'needs-person' }],
    ['answers', 'unreachable', { do: 'refuse', outcome: 'unknown' }],
    ['unreachable', 'open', { do: 'refuse', outcome: 'unknown' }],
    ['answers', 'stuck', { do: 'refuse', outcome: 'needs-person' }],
  ])('source %s, destination %s', (source, destination, expected) => {
    expect(decide(source, destination)).toMatchObject(expected)
  })

  it('gives up what a lost destination did since only when told to', () => {
    expect(decide('answers', 'gone-committed', 'source')).toEqual({ do: 'go-back', discard: 'none' })
    expect(decide('gone-committed', 'gone-committed', 'source')).toMatchObject({ do: 'refuse' })
    // And never closes the source instead.
    for (const destination of ['runs', 'settled', 'gone-settled'] as const)
      expect(decide('answers', destination, 'source')).toMatchObject({
        do: 'refuse',
        outcome: 'needs-person',
      })
  })

  it('does not call a destination lost whose command may have the devices', () => {
    const decided = decide('answers', 'gone-handing')
    expect(decided).toMatchObject({ do: 'refuse', outcome: 'needs-person' })
    if (decided.do === 'refuse') expect(decided.remedy).toMatch(/look for the command.*only if it does not/u)
  })

  it('says why and what to do whenever it refuses', () => {
    for (const source of SOURCES) {
      for (const destination of DESTINATIONS) {
        const decided = decide(source, destination)
        if (decided.do === 'refuse')
          expect([decided.why, decided.remedy].every((text) => text.length > 20)).toBe(true)
      }
    }
  })
})
