/** What a ferry that takes a run up does about a cutover that was asked for later. */
import { describe, expect, it, vi } from 'vitest'
import type { Event } from '../../src/journal/event.js'
import { EventStream } from '../../src/journal/event-stream.js'
import type { LeftAt, Scheduled } from '../../src/run/left-at.js'
import type { Session } from '../../src/run/session.js'
import { RunSteering } from '../../src/run/steering.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'

const NOW = 1_000_000
const base = profileFor([simDevice('nic')])

function takenUp(scheduled: Scheduled | null, left: Partial<LeftAt> = {}) {
  vi.useFakeTimers({ now: NOW })
  const said: Event[] = []
  const events = new EventStream()
  events.subscribe(({ body }) => said.push(body))
  const profile = {
    ...base,
    migration: { ...base.migration, hold: 'after-pin' as const, holdTimeoutMs: null },
  }
  const steering = new RunSteering({ events, profile, run: 'r' } as unknown as Session, {
    steered: true,
    hostOf: () => ({ run: () => Promise.reject(new Error('no hook')) }),
    left: {
      hooks: new Set<string>(),
      limits: null,
      released: false,
      untilMs: null,
      scheduled,
      ...left,
    } as LeftAt,
    cancel: () => undefined,
  })
  const missed = steering.takeUp()
  void steering.keeper?.wait()
  const asked = () => said.flatMap((body) => (body.type === 'cutover-asked' ? [body] : []))
  return { asked, missed, stage: () => steering.keeper?.state.stage }
}

describe('a cutover that was asked for later, once the run is taken up', () => {
  it.each([null, NOW + 60_000])('is missed when its time has passed, also in its window (%s)', (untilMs) => {
    const { asked, missed, stage } = takenUp({ atMs: NOW - 1, untilMs })
    expect(missed).toEqual({ atMs: NOW - 1, untilMs })
    vi.advanceTimersByTime(3_600_000)
    expect([stage(), asked().map(({ state }) => state)]).toEqual(['held', ['missed']])
    vi.useRealTimers()
  })

  it('is made in its window when its time is still to come', () => {
    const { asked, missed, stage } = takenUp({ atMs: NOW + 5000, untilMs: NOW + 9000 })
    expect([missed, asked()]).toMatchObject([null, [{ atMs: NOW + 5000, untilMs: NOW + 9000 }]])
    vi.advanceTimersByTime(4999)
    expect(stage()).toBe('held')
    vi.advanceTimersByTime(2)
    expect([stage(), asked().map(({ state }) => state)]).toEqual(['released', ['scheduled', 'accepted']])
    vi.useRealTimers()
  })

  it('is nothing to a run that was continued since', () => {
    const { asked, missed } = takenUp({ atMs: NOW - 1, untilMs: null }, { released: true })
    expect([missed, asked()]).toEqual([null, []])
    vi.useRealTimers()
  })
})
