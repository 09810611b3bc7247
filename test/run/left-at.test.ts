/** What a journal says of where its ferry left the run: strict, so that nobody goes on with a run that may be past its stop. */
import { describe, expect, it } from 'vitest'
import type { Event, EventRecord } from '../../src/journal/event.js'
import { leftAt } from '../../src/run/left-at.js'
import { packed, unpacked } from '../../src/run/whole.js'
import { plan as planFor } from '../plan/hosts.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'

const limits = { downtimeLimitMs: 300, bandwidth: null, streams: 1 }
const start: Extract<Event, { type: 'run-start' }> = {
  type: 'run-start',
  command: 'migrate',
  ...{ run: 'r', profile: 'w', file: 'f', version: '0', plan: null, limits, whole: '{}' },
}
const intent = (step: number, op: string, phase: 'pin' | 'dirty-log' | 'pre-copy' = 'pin'): Event => ({
  type: 'intent',
  ...{ step, phase, side: 'source', op, text: op, params: {} },
})
const outcome = (step: number, ok = true): Event => ({ type: 'outcome', step, ok, elapsedUs: 1 })
const left = (bodies: readonly Event[], damaged = 0) =>
  leftAt(
    bodies.map((body, index): EventRecord => ({ seq: index + 1, time: '', atUs: index, body })),
    damaged,
  )
const connected: readonly Event[] = [start, intent(1, 'receive'), intent(2, 'connect'), outcome(2)]
const tracked: readonly Event[] = [
  ...connected,
  { type: 'phase-end', phase: 'pin', outcome: 'ok', elapsedUs: 1 },
  intent(3, 'track', 'dirty-log'),
  outcome(3),
  intent(4, 'precopy', 'pre-copy'),
]

describe('where a ferry left its run', () => {
  it('is told from what was done, set and held', () => {
    expect(left(tracked)).toMatchObject({ tracking: 1, steps: 4, released: false, limits, untilMs: null })
    expect(left(tracked)?.passed).toEqual(new Set(['pin']))
    const held: Event = { type: 'hold', point: 'before-cutover', state: 'held', untilMs: 9 }
    const set: Event = {
      type: 'set',
      ...{ key: 'downtime-limit', value: '7s', limits: { ...limits, downtimeLimitMs: 7000 } },
    }
    expect(left([...tracked, held, set])).toMatchObject({ untilMs: 9, limits: { downtimeLimitMs: 7000 } })
    const again: Event = { type: 'recover-start', epoch: 2, version: '0', goesOn: true }
    const on = left([...tracked, held, again, { type: 'hold', point: 'before-cutover', state: 'released' }])
    expect(on).toMatchObject({ released: true, untilMs: null })
  })

  it('knows the cutover that was asked for later, until something came of it', () => {
    const asked: Event = { type: 'cutover-asked', state: 'scheduled', atMs: 5, untilMs: 9 }
    expect(left([...tracked, asked])?.scheduled).toEqual({ atMs: 5, untilMs: 9 })
    for (const state of ['refused', 'missed', 'waiting'] as const)
      expect(left([...tracked, asked, { type: 'cutover-asked', state, atMs: 5 }])?.scheduled).toBeNull()
  })

  it.each<readonly [string, readonly Event[]]>([
    ['not connected', [start, intent(1, 'receive')]],
    ['asked to stop', [...tracked, intent(5, 'cutover')]],
    ['asked to go back', [...tracked, intent(5, 'rollback')]],
    ['cancelled', [...tracked, { type: 'cancel-asked' }]],
    ['a step under way', [...tracked, intent(5, 'track', 'dirty-log')]],
    ['a step that failed', [...tracked, outcome(4, false)]],
    ['the destination’s part over', [...tracked, outcome(1)]],
    ['recovered before', [...tracked, { type: 'recover-start', epoch: 2, version: '0' }]],
    ['ended', [...tracked, { type: 'run-end', outcome: 'unknown', exit: 9, elapsedUs: 1 }]],
    ['of an older release', [{ ...start, whole: undefined } as unknown as Event, ...tracked.slice(1)]],
  ])('nobody goes on: %s', (_, bodies) => {
    expect(left(bodies)).toBeNull()
  })

  it('nobody goes on: a line damaged', () => {
    expect(left(tracked, 1)).toBeNull()
  })

  it('profile and plan come back from the journal whole', () => {
    const profile = profileFor([simDevice('vgpu')])
    const plan = planFor(profile)
    const back = unpacked(packed(profile, plan))
    expect(back.profile).toEqual(profile)
    expect([back.plan.steps, back.plan.forecast]).toEqual([plan.steps, plan.forecast])
  })
})
