/** A cutover without an answer: the one-runner invariant is at stake. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Op, Role } from '../../src/protocol/protocol.js'
import { PHASES } from '../../src/phases/index.js'
import { EventStream } from '../../src/journal/event-stream.js'
import { Runner, type RunResult } from '../../src/run/runner.js'
import { Pair, RUN, type Mishap, type Replies } from './model.js'
import { plan as planFor } from '../plan/hosts.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'

const profile = profileFor([simDevice('vgpu')])

async function run(
  mishaps: readonly Mishap[],
  replies: Replies = {},
): Promise<RunResult & { readonly pair: Pair }> {
  const pair = new Pair(mishaps, replies)
  const runner = new Runner({
    run: RUN,
    command: 'migrate',
    profile,
    plan: planFor(profile),
    source: pair.source,
    destination: pair.destination,
    events: new EventStream(),
    phases: PHASES,
    version: '0.0.0',
    patience: { polls: 4, betweenMs: 1 },
    journalError: () => undefined,
  })
  return { ...(await runner.execute()), pair }
}
const CUTOVER = { side: 'source', op: 'cutover' } as const

describe('recovery', () => {
  it('finds the destination running: done, and the source is never rolled back', async () => {
    const { exit, pair } = await run([{ ...CUTOVER, kind: 'lost' }])
    expect(exit).toBe(0)
    expect(pair.trace).not.toContain('source rollback')
    expect(pair.trace).toContain('destination check')
  })

  it('lets the destination discard first, then the source run, told so', async () => {
    const { exit, pair } = await run([], { cutover: { outcome: 'unknown' } })
    expect(exit).toBe(5)
    const rollbacks = pair.sent.filter(({ op }) => op === 'rollback')
    expect(rollbacks.map(({ side }) => side)).toEqual(['destination', 'source'])
    expect(rollbacks[1]?.params).toEqual({ peerDiscarded: true })
    expect(pair.source.state).toBe('RUNNING')
  })

  it('hears from a destination that committed and did not come up: exit 6, and the source stays stopped', async () => {
    const { error, exit, pair } = await run(
      [{ side: 'destination', op: 'receive', kind: 'error', code: 'device/set-failed' }],
      { cutover: { outcome: 'unknown' }, status: { phase: 'committed' } },
    )
    expect([exit, error?.code]).toEqual([6, 'device/set-failed'])
    expect(pair.trace).not.toContain('source rollback')
    expect(pair.trace).not.toContain('destination rollback')
  })

  it('waits for a destination that has committed and is still starting its devices', async () => {
    const { exit, pair } = await run([], { cutover: { outcome: 'unknown' }, status: { phase: 'committed' } })
    expect(exit).toBe(9)
    expect(pair.trace.filter((sent) => sent === 'destination status')).toHaveLength(4)
  })

  it('does not know when the destination is gone: exit 9, nothing is started, the run id is said', async () => {
    const mishaps: Mishap[] = [
      { ...CUTOVER, kind: 'lost' },
      { side: 'destination', op: 'status', kind: 'dies' },
    ]
    const { error, exit, pair } = await run(mishaps)
    expect(exit).toBe(9)
    expect(error?.message).toContain(RUN)
    expect(pair.trace).not.toContain('source rollback')
  })

  it('does not trust a destination that speaks of another run', async () => {
    const { exit, pair } = await run([{ ...CUTOVER, kind: 'lost' }], {
      status: { run: '20200101T000000-0000' },
    })
    expect(exit).toBe(9)
    expect(pair.trace).not.toContain('source rollback')
  })

  it('with the source dead and the destination empty asks for a person', async () => {
    const { exit, pair } = await run([{ ...CUTOVER, kind: 'dies' }])
    expect(exit).toBe(6)
    expect(pair.destination.discarded).toBe(true)
  })

  it('never lets both sides run, whatever is lost or dies around the cutover', async () => {
    const mishap: fc.Arbitrary<Mishap> = fc.record({
      side: fc.constantFrom<Role>('source', 'destination'),
      op: fc.constantFrom<Op>('cutover', 'status', 'rollback', 'receive', 'check', 'precopy'),
      nth: fc.integer({ min: 1, max: 2 }),
      kind: fc.constantFrom('error', 'lost', 'dies'),
    })
    const end = fc.constantFrom('running', 'unknown', 'rolled-back', 'needs-person')
    await fc.assert(
      fc.asyncProperty(fc.array(mishap, { maxLength: 3 }), end, async (mishaps, outcome) => {
        const { exit, pair } = await run(mishaps, outcome === 'running' ? {} : { cutover: { outcome } })
        expect(pair.source.state === 'RUNNING' && pair.destination.state === 'RUNNING').toBe(false)
        if (exit === 0) expect(pair.destination.state).toBe('RUNNING')
        if (exit === 4 || exit === 5) expect(pair.source.state).toBe('RUNNING')
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})
