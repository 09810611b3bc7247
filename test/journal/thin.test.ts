import { describe, expect, it } from 'vitest'
import type { HelperEvent } from '../../src/protocol/protocol.js'
import type { Event, EventRecord } from '../../src/journal/event.js'
import { RoundThinner } from '../../src/journal/thin.js'

const HELD: Event = { type: 'hold', point: 'before-cutover', state: 'held' }
const start = (round: number): HelperEvent => ({
  event: 'round-start',
  round,
  pages: 1,
  bytes: '1',
  trackers: [],
})
const end = (round: number): HelperEvent => ({
  ...{
    event: 'round-end',
    round,
    sentBytes: '1',
    zeroPages: 0,
    elapsedUs: 1,
    dirtyPages: 1,
    dirtyBytes: '1',
  },
  ...{ bytesPerSecond: '1', estimatedBlackoutUs: 1 },
})

/** Numbers of the rounds that are kept, when one comes every second. */
function kept(before: readonly Event[], rounds: number): { starts: number[]; ends: number[] } {
  const thinner = new RoundThinner()
  const give = (body: Event, atUs: number): boolean =>
    thinner.keeps({ seq: 1, time: '', atUs, body } as EventRecord)
  for (const body of before) expect(give(body, 0)).toBe(true)
  const found = { starts: [] as number[], ends: [] as number[] }
  for (let round = 1; round <= rounds; round++) {
    if (give({ type: 'helper', side: 'source', event: start(round) }, round * 1e6)) found.starts.push(round)
    if (give({ type: 'helper', side: 'source', event: end(round) }, round * 1e6 + 5)) found.ends.push(round)
  }
  return found
}

describe('rounds in the journal', () => {
  it('are all kept of a run that is not held', () => {
    expect(kept([], 200).starts).toHaveLength(200)
  })

  it('of a held run grow few, whole ones', () => {
    const { ends, starts } = kept([HELD], 3600)
    expect(starts).toEqual(ends)
    expect(starts.slice(0, 16)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1))
    expect(starts.length).toBeLessThan(16 + 3600 / 30 + 1)
    expect(starts.length).toBeGreaterThan(100)
  })

  it('are all kept again once it was continued', () => {
    expect(kept([HELD, { ...HELD, state: 'released' } as Event], 200).starts).toHaveLength(200)
  })
})
