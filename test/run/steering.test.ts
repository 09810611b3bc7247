/** Holds, hooks and changed limits, with the runner and two helpers in memory. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PrecopyParams } from '../../src/protocol/protocol.js'
import { PHASES } from '../../src/phases/index.js'
import type { Hook, Profile } from '../../src/profile/profile.js'
import type { HookPoint } from '../../src/points.js'
import type { Event, EventRecord } from '../../src/journal/event.js'
import { EventStream } from '../../src/journal/event-stream.js'
import type { HookEnd, HookHost } from '../../src/run/hooks.js'
import { Runner, type RunResult } from '../../src/run/runner.js'
import { statusOf } from '../../src/journal/status.js'
import { Pair, RUN, type Sent } from './model.js'
import { plan as planFor } from '../plan/hosts.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'

const base = profileFor([simDevice('vgpu'), simDevice('nic', { model: 'function' })])
const plan = planFor(base)

interface Setting {
  readonly migration?: Partial<Profile['migration']>
  readonly hooks?: readonly Hook[]
  readonly rounds?: readonly number[]
  readonly at?: (scene: Scene, sent: Sent) => void
  readonly on?: (scene: Scene, record: EventRecord) => void
  readonly runs?: (hook: HookCall, scene: Scene) => Promise<HookEnd> | HookEnd
}
interface HookCall {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly on: Hook['on']
}
interface Scene {
  readonly runner: Runner
  readonly pair: Pair
  readonly records: EventRecord[]
  readonly called: HookCall[]
}
const OK: HookEnd = { exitCode: 0, stdout: '', stderr: '', timedOut: false, aborted: false }

function hook(at: HookPoint, over: Partial<Hook> = {}): Hook {
  const inBlackout = at === 'post-quiesce' || at === 'post-stop' || at === 'pre-resume'
  return {
    ...{
      name: `at-${at}`,
      at,
      on: 'ferry',
      command: ['true'],
      timeoutMs: 20,
      onFailure: 'abort',
      inBlackout,
    },
    ...over,
  }
}

async function run(setting: Setting = {}): Promise<Scene & RunResult> {
  const records: EventRecord[] = []
  const called: HookCall[] = []
  const events = new EventStream()
  const pair: Pair = new Pair([], {}, (sent) => setting.at?.(scene, sent))
  pair.rounds = setting.rounds ?? [1]
  pair.emit = (event) => events.emit({ type: 'helper', side: 'source', event })
  const profile: Profile = {
    ...base,
    migration: { ...base.migration, ...setting.migration },
    hooks: setting.hooks ?? [],
  }
  const hostOf = (on: Hook['on']): HookHost => ({
    run: async (command, { env, signal }) => {
      const call = { command, env, signal, on }
      called.push(call)
      return setting.runs === undefined ? OK : setting.runs(call, scene)
    },
  })
  const runner: Runner = new Runner({
    ...{ run: RUN, command: 'migrate', profile, plan, events, phases: PHASES, version: '0.0.0', hostOf },
    source: pair.source,
    destination: pair.destination,
    journalError: () => undefined,
  })
  const scene: Scene = { runner, pair, records, called }
  events.subscribe((record) => {
    records.push(record)
    setting.on?.(scene, record)
  })
  const result = await runner.execute('/run/x.sock')
  return { ...scene, ...result }
}

const bodies = <T extends Event['type']>(records: readonly EventRecord[], type: T) =>
  records.flatMap(({ body }) => (body.type === type ? [body as Extract<Event, { type: T }>] : []))
const isHeld = ({ body }: EventRecord): boolean => body.type === 'hold' && body.state === 'held'

describe('a hold', () => {
  it.each([
    ['after-pin', 'connect', 'track'],
    ['after-dirty-log', 'track', 'precopy'],
    ['before-cutover', 'precopy', 'proceed'],
  ] as const)('%s stops between %s and %s until it is continued', async (hold, before, after) => {
    let traceAtHold: readonly string[] = []
    const { outcome, pair, records } = await run({
      migration: { hold },
      on: ({ pair: { trace }, runner }, record) => {
        if (!isHeld(record)) return
        traceAtHold = [...trace]
        setTimeout(() => void runner.cutover({ atMs: null, withinMs: null }), 5)
      },
    })
    expect(outcome).toBe('done')
    expect(traceAtHold.at(-1)).toBe(`source ${before}`)
    expect(pair.trace[traceAtHold.length]).toBe(`source ${after}`)
    expect(bodies(records, 'hold').map(({ state }) => state)).toEqual(['held', 'released'])
    expect(bodies(records, 'cutover-asked').map(({ state }) => state)).toEqual(['accepted'])
  })

  it('is one of the status while it lasts', async () => {
    const seen: unknown[] = []
    await run({
      migration: { hold: 'after-pin', holdTimeoutMs: 60_000 },
      on: ({ records, runner }, record) => {
        if (!isHeld(record)) return
        setTimeout(() => {
          seen.push(statusOf(records).held?.point)
          void runner.cutover({ atMs: null, withinMs: null }).then(() => seen.push(statusOf(records).held))
        }, 2)
      },
    })
    expect(seen).toEqual(['after-pin', null])
  })

  it('is reached with the bounds when the rest does not fit, is not continued then, and cancelled puts all back', async () => {
    const answers: string[] = []
    const { exit, pair } = await run({
      migration: { hold: 'before-cutover', precopy: { maxRounds: 2, maxTimeMs: 60_000 } },
      rounds: [900_000_000],
      on: ({ runner }, record) => {
        if (!isHeld(record)) return
        void runner.cutover({ atMs: null, withinMs: null }).then(({ answer }) => {
          answers.push(answer)
          runner.cancel()
        })
      },
    })
    expect([exit, answers]).toEqual([4, ['refused']])
    expect(pair.trace).not.toContain('source cutover')
    expect(pair.source.state).toBe('RUNNING')
  })

  it('waits for a round that fits', async () => {
    const { outcome, records } = await run({
      migration: { hold: 'before-cutover', precopy: { maxRounds: 1, maxTimeMs: 60_000 } },
      rounds: [9e8, 9e8, 9e8, 9e8, 5],
      on: ({ runner }, record) => {
        if (isHeld(record)) void runner.cutover({ atMs: null, withinMs: 60_000 })
      },
    })
    expect(outcome).toBe('done')
    expect(bodies(records, 'cutover-asked').map(({ state }) => state)).toEqual(['waiting', 'accepted'])
    // Also for who listens last: what was decided about a round comes after the round.
    const order = records.map(({ seq }) => seq)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  })

  it('ends when the destination gives up meanwhile', async () => {
    const { exit, pair } = await run({
      migration: { hold: 'after-dirty-log' },
      on: ({ pair: { settle }, pair: held }, record) => {
        if (isHeld(record)) setTimeout(() => settle.call(held, 'discarded'), 2)
      },
    })
    expect(exit).toBe(5)
    expect(pair.source.state).toBe('RUNNING')
  })

  it('a cancel at any moment wins over a request that waits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(12), fc.boolean(), async (atMs, fitting) => {
        const { outcome, pair } = await run({
          migration: { hold: 'before-cutover', precopy: { maxRounds: 1, maxTimeMs: 60_000 } },
          rounds: fitting ? [9e8, 9e8, 9e8, 9e8, 1] : [9e8],
          on: ({ runner }, record) => {
            if (!isHeld(record)) return
            void runner.cutover({ atMs: null, withinMs: 5 })
            setTimeout(() => runner.cancel(), atMs)
          },
        })
        if (pair.committed) expect(outcome).toBe('done')
        else {
          expect(outcome).toBe('cancelled')
          expect(pair.trace).not.toContain('destination check')
          expect(pair.source.state).toBe('RUNNING')
        }
      }),
      { numRuns: 30 },
    )
  })
})

describe('ferry set', () => {
  it('is journaled, told to the rounds under way, and counts for the cutover', async () => {
    const { outcome, pair, records } = await run({
      migration: { hold: 'before-cutover', precopy: { maxRounds: 1, maxTimeMs: 60_000 } },
      rounds: [500_000],
      on: ({ runner }, record) => {
        if (!isHeld(record)) return
        void runner
          .set('bandwidth', '10MiB/s')
          .then(() => runner.set('downtime-limit', '600ms'))
          .then(() => runner.cutover({ atMs: null, withinMs: null }))
      },
    })
    expect(outcome).toBe('done')
    const tuned = pair.sent.filter(({ op }) => op === 'tune').map(({ params }) => params)
    expect(tuned).toEqual([{ bandwidth: '10485760' }, { downtimeLimitMs: 600 }])
    expect(pair.sent.find(({ op }) => op === 'cutover')?.params).toMatchObject({ downtimeLimitMs: 600 })
    expect(bodies(records, 'set').map(({ key, value }) => [key, value])).toEqual([
      ['bandwidth', '10MiB/s'],
      ['downtime-limit', '600ms'],
    ])
  })

  it('before the rounds begin is told with them', async () => {
    const { pair } = await run({
      at: ({ runner }, { op }) => {
        if (op === 'map') void runner.set('downtime-limit', '77ms')
      },
    })
    expect(pair.trace).not.toContain('source tune')
    const precopy = pair.sent.find(({ op }) => op === 'precopy')?.params as PrecopyParams
    expect(precopy.downtimeLimitMs).toBe(77)
  })

  it('refuses what makes no sense, and what comes too late', async () => {
    const codes: string[] = []
    const note = (error: { code: string }): void => void codes.push(error.code)
    const { outcome } = await run({
      at: ({ runner }, { op }) => {
        if (op === 'track') {
          void runner.set('streams', '99').catch(note)
          void runner.set('bandwidth', '0B/s').catch(note)
        }
        if (op === 'cutover') void runner.set('downtime-limit', '1s').catch(note)
      },
    })
    expect(outcome).toBe('done')
    expect(codes).toEqual(['usage/streams', 'usage/rate', 'set/too-late'])
  })
})

describe('hooks', () => {
  const ALL: readonly HookPoint[] = [
    ...(['pre-pin', 'post-pin', 'post-dirty-log', 'pre-cutover'] as const),
    ...(['post-quiesce', 'post-stop', 'pre-resume', 'post-commit'] as const),
  ]

  it('run at their points in order, with the run’s facts', async () => {
    const { called, outcome, pair, records } = await run({
      hooks: [...ALL, 'post-rollback' as const].map((at) => hook(at)),
    })
    expect(outcome).toBe('done')
    expect(called.map(({ env }) => env['FERRY_POINT'])).toEqual(ALL)
    expect(called[0]?.env).toEqual({
      FERRY_RUN: RUN,
      FERRY_PROFILE: 'test',
      FERRY_HOOK: 'at-pre-pin',
      FERRY_POINT: 'pre-pin',
      FERRY_SOURCE: 'local',
      FERRY_DESTINATION: 'local',
      FERRY_DEVICES: 'vgpu nic',
      FERRY_FORECAST_US: '',
      FERRY_OUTCOME: '',
    })
    expect(called[3]?.env['FERRY_FORECAST_US']).toBe('1')
    expect(called.at(-1)?.env['FERRY_OUTCOME']).toBe('done')
    const cutover = pair.sent.find(({ op }) => op === 'cutover')?.params
    expect(cutover).toMatchObject({ pauses: ['post-quiesce', 'post-stop', 'pre-resume'], hooksUs: 60_000 })
    expect(pair.trace.filter((line) => line === 'source continue')).toHaveLength(3)
    expect(bodies(records, 'hook').every(({ ok }) => ok)).toBe(true)
  })

  it('before the cutover run while the rounds go on, after the hold', async () => {
    const order: string[] = []
    await run({
      hooks: [hook('pre-cutover')],
      migration: { hold: 'before-cutover' },
      at: (_, { op }) => void order.push(op),
      on: ({ runner }, record) => {
        if (isHeld(record)) setTimeout(() => void runner.cutover({ atMs: null, withinMs: null }), 3)
        if (record.body.type === 'hold') order.push(record.body.state)
        if (record.body.type === 'hook') order.push('hook')
      },
    })
    expect(order.slice(order.indexOf('held'))).toEqual(
      expect.arrayContaining(['held', 'released', 'hook', 'proceed', 'cutover']),
    )
    expect(order.indexOf('released')).toBeLessThan(order.indexOf('hook'))
    expect(order.indexOf('hook')).toBeLessThan(order.indexOf('proceed'))
  })

  it.each(ALL.slice(0, 7))(
    'that fails at %s ends the run with all put back, and the later ones do not run',
    async (at) => {
      const { called, error, exit, pair } = await run({
        hooks: [...ALL, 'post-rollback' as const].map((point) => hook(point)),
        runs: ({ env }) => (env['FERRY_POINT'] === at ? { ...OK, exitCode: 3, stderr: 'no\nreason' } : OK),
      })
      expect(exit).toBe(at === 'pre-pin' ? 1 : 5)
      expect(error?.code).toBe('hook/failed')
      expect(error?.message).toContain('ended with status 3: reason')
      expect([null, 'RUNNING']).toContain(pair.source.state)
      expect(called.map(({ env }) => env['FERRY_POINT'])).toEqual([
        ...ALL.slice(0, ALL.indexOf(at) + 1),
        'post-rollback',
      ])
      expect(called.at(-1)?.env['FERRY_OUTCOME']).toBe(exit === 1 ? 'not-started' : 'rolled-back')
    },
  )

  it('whose failure only warns changes nothing but the report', async () => {
    const failing: HookEnd = { ...OK, exitCode: null, timedOut: true }
    const { outcome, problems } = await run({
      hooks: ALL.map((at) => hook(at, { onFailure: at === 'post-commit' ? 'abort' : 'warn' })),
      runs: () => failing,
    })
    expect(outcome).toBe('done')
    expect(problems.map(({ code }) => code)).toEqual(ALL.map(() => 'hook/timed-out'))
  })

  it('are killed by a cancel, wherever they run, and the source runs', async () => {
    for (const at of ALL.slice(0, 4)) {
      const { called, exit, pair } = await run({
        hooks: [hook(at)],
        runs: ({ signal }, { runner }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve({ ...OK, exitCode: null, aborted: true }))
            setTimeout(() => runner.cancel(), 2)
          }),
      })
      expect([at, exit, called.length]).toEqual([at, 4, 1])
      expect([null, 'RUNNING']).toContain(pair.source.state)
    }
  })

  it('inside the blackout that are over it are killed with it', async () => {
    let killed = false
    const { exit } = await run({
      hooks: [hook('post-stop')],
      at: (scene, { op }) => {
        // The helper gives up waiting by itself: the limit was reached.
        if (op === 'cutover')
          setTimeout(() => scene.pair.goOn({ at: 'post-stop', abort: { code: 'x', message: 'limit' } }), 3)
      },
      runs: ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            killed = true
            resolve({ ...OK, exitCode: null, aborted: true })
          })
        }),
    })
    expect([exit, killed]).toEqual([5, true])
  })
})
