import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OUTCOME_EXIT } from '../../src/run/outcome.js'
import type { Op, Role } from '../../src/protocol/protocol.js'
import { measureDirt, PHASES, pin, type Phase } from '../../src/phases/index.js'
import type { Plan } from '../../src/plan/plan.js'
import type { EventRecord } from '../../src/journal/event.js'
import { EventStream } from '../../src/journal/event-stream.js'
import { Runner, type RunResult } from '../../src/run/runner.js'
import { Pair, RUN, type Mishap, type Replies } from './model.js'
import { plan as planFor } from '../plan/hosts.js'
import { profile as profileFor, simDevice } from '../plan/profiles.js'

const profile = profileFor([simDevice('vgpu'), simDevice('nic', { model: 'function' })])
const plan = planFor(profile)

interface Outcome extends RunResult {
  readonly pair: Pair
  readonly records: readonly EventRecord[]
}
interface Setting {
  readonly mishaps?: readonly Mishap[]
  readonly replies?: Replies
  readonly phases?: readonly Phase[]
  readonly plan?: Plan
  readonly onNotConverged?: 'cancel' | 'cutover'
  readonly sourceOnly?: boolean
  /** Called with the runner at each request. */
  readonly at?: (runner: Runner, sent: { side: Role; op: Op }) => void
}

async function run(setting: Setting = {}): Promise<Outcome> {
  const records: EventRecord[] = []
  const events = new EventStream()
  events.subscribe((record) => records.push(record))
  const pair: Pair = new Pair(setting.mishaps, setting.replies, (sent) => setting.at?.(runner, sent))
  const { migration } = profile
  const onNotConverged = setting.onNotConverged ?? migration.onNotConverged
  const runner: Runner = new Runner({
    run: RUN,
    command: setting.sourceOnly ? 'pin' : 'migrate',
    profile: { ...profile, migration: { ...migration, onNotConverged } },
    plan: setting.plan ?? plan,
    source: pair.source,
    destination: setting.sourceOnly ? null : pair.destination,
    events,
    phases: setting.phases ?? PHASES,
    version: '0.0.0',
    journalError: () => undefined,
  })
  const result = await runner.execute()
  return { ...result, pair, records }
}

/** Ops of the way forward in which anything may go wrong before COMMIT. */
const FORWARD: readonly (readonly [Role, Op])[] = [
  ['source', 'claim'],
  ['destination', 'claim'],
  ['source', 'memory'],
  ['source', 'container'],
  ['source', 'device'],
  ['source', 'map'],
  ['destination', 'device'],
  ['destination', 'map'],
  ['destination', 'listen'],
  ['source', 'connect'],
  ['source', 'track'],
  ['source', 'precopy'],
  ['source', 'cutover'],
]
const UNDO: Readonly<Record<string, string>> = { map: 'unmap', track: 'untrack' }

describe('a run in which nothing goes wrong', () => {
  it('goes through the phases in order, checks, and releases both sides', async () => {
    const { exit, outcome, pair, records } = await run()
    expect([outcome, exit]).toEqual(['done', 0])
    const phases = records.flatMap(({ body }) => (body.type === 'phase-start' ? [body.phase] : []))
    expect(phases).toEqual(['pin', 'dirty-log', 'pre-copy', 'cutover', 'commit'])
    expect(pair.trace.slice(-7)).toEqual([
      'source precopy',
      'source cutover',
      'destination check',
      'source status',
      'destination status',
      'destination release',
      'source release',
    ])
    expect([pair.source.state, pair.destination.state]).toEqual(['STOP_COPY', 'RUNNING'])
  })

  it('tells each helper the other’s fingerprint and the same fresh secret', async () => {
    const secrets = await Promise.all(
      [run(), run()].map(async (running) => {
        const { pair } = await running
        const params = pair.sent
          .filter(({ op }) => op === 'listen' || op === 'connect')
          .map((sent) => sent.params)
        const [listen, connect] = params as { secret: string; peer: string }[]
        expect(listen?.secret).toMatch(/^[0-9a-f]{64}$/u)
        expect(connect?.secret).toBe(listen?.secret)
        expect(listen?.peer).toBe('ab'.repeat(32))
        return listen?.secret
      }),
    )
    expect(secrets[0]).not.toBe(secrets[1])
  })

  it('puts everything back after a command that only looks', async () => {
    const { outcome, pair } = await run({ sourceOnly: true, phases: [pin, measureDirt(3, 0)] })
    expect(outcome).toBe('done')
    expect(pair.trace.filter((line) => line === 'source dirty')).toHaveLength(3)
    expect(pair.source.state).toBe('RUNNING')
    expect(pair.trace.slice(-2)).toEqual(['source status', 'source release'])
    expect(pair.trace.indexOf('source rollback')).toBeLessThan(pair.trace.indexOf('source unmap'))
  })
})

describe('a failure before COMMIT', () => {
  it('undoes what was done in reverse, and ends with the source rolled back and seen RUNNING', async () => {
    const failing = fc.constantFrom(...FORWARD)
    await fc.assert(
      fc.asyncProperty(failing, fc.integer({ min: 1, max: 2 }), async ([side, op], nth) => {
        const { outcome, pair, records } = await run({ mishaps: [{ side, op, nth, kind: 'error' }] })
        const at = pair.sent.findIndex(
          (sent, index) =>
            sent.side === side &&
            sent.op === op &&
            pair.sent.slice(0, index + 1).filter((other) => other.side === side && other.op === op).length ===
              nth,
        )
        if (at === -1) {
          expect(outcome).toBe('done')
          return
        }
        const key = ({ params, side: where }: { params: unknown; side: Role }, undone: string): string =>
          `${where} ${undone} ${(params as { container?: string }).container ?? ''}`
        const due = pair.sent
          .slice(0, at)
          .flatMap((sent) => (UNDO[sent.op] ? [key(sent, UNDO[sent.op] ?? '')] : []))
        const rest = pair.sent.slice(at + 1)
        const undone = rest
          .filter((sent) => Object.values(UNDO).includes(sent.op))
          .map((sent) => key(sent, sent.op))
        expect(undone).toEqual(due.reverse())
        // The source is rolled back and looked at, then both are closed; nothing else comes after.
        const last = rest.map((sent) => `${sent.side} ${sent.op}`)
        expect(last[0]).toBe('source rollback')
        const tail = last.slice(last.findLastIndex((line) => /unmap|untrack|rollback/u.test(line)) + 1)
        expect(tail.every((line) => /status|release/u.test(line))).toBe(true)
        expect([null, 'RUNNING']).toContain(pair.source.state)
        expect(pair.destination.state).not.toBe('RUNNING')
        const opened = pair.sent.some((sent) => sent.side === 'source' && sent.op === 'device')
        expect(outcome).toBe(opened ? 'rolled-back' : 'not-started')
        expect(records.filter(({ body }) => body.type === 'run-end')).toHaveLength(1)
      }),
      { numRuns: 80 },
    )
  })

  it('journals an intent before every request, and an outcome after', async () => {
    const intents: number[] = []
    const { pair, records } = await run({
      mishaps: [{ side: 'source', op: 'precopy', kind: 'error' }],
      at: () => intents.push(0),
    })
    const kinds = records.flatMap(({ body }) =>
      body.type === 'intent' || body.type === 'outcome' ? [body] : [],
    )
    const ops = kinds.flatMap((body) => (body.type === 'intent' ? [`${body.side} ${body.op}`] : []))
    expect(ops).toEqual(pair.trace)
    for (const body of kinds) {
      if (body.type !== 'outcome') continue
      expect(kinds.findIndex((other) => other.type === 'intent' && other.step === body.step)).toBeLessThan(
        kinds.indexOf(body),
      )
    }
    expect(intents).toHaveLength(pair.sent.length)
  })

  it('goes on undoing when an undo fails, and reports it', async () => {
    const { outcome, pair, problems } = await run({
      mishaps: [
        { side: 'source', op: 'precopy', kind: 'error' },
        { side: 'source', op: 'untrack', kind: 'error', code: 'tracker/stuck' },
      ],
    })
    expect(outcome).toBe('rolled-back')
    expect(problems.map(({ code }) => code)).toEqual(['tracker/stuck'])
    expect(pair.trace.filter((line) => line === 'source unmap').length).toBeGreaterThan(0)
  })

  it('with the source’s helper dead asks for a person, and says what is known', async () => {
    const { error, exit, outcome } = await run({ mishaps: [{ side: 'source', op: 'precopy', kind: 'dies' }] })
    expect([outcome, exit]).toEqual(['needs-person', 6])
    expect(error?.code).toBe('source/helper-died')
    expect(error?.message).toContain('vgpu, nic')
    expect(error?.message).toContain('[helper/died]')
  })

  it('with the source’s helper dead before it opened a device changed nothing', async () => {
    const { exit } = await run({ mishaps: [{ side: 'source', op: 'memory', kind: 'dies' }] })
    expect(exit).toBe(1)
  })

  it('with the destination’s helper dead rolls the source back', async () => {
    const { exit, pair } = await run({ mishaps: [{ side: 'destination', op: 'map', kind: 'dies' }] })
    expect(exit).toBe(5)
    expect(pair.source.state).toBe('RUNNING')
  })

  it('that leaves a device not RUNNING names it, from any side', async () => {
    const devices = [{ device: 'vgpu', state: 'ERROR' as const }]
    const stuck = { code: 'device/reset', message: 'reset failed', device: 'vgpu' }
    const mishaps: Mishap[] = [{ side: 'source', op: 'precopy', kind: 'error' }]
    const told = await run({ mishaps, replies: { rollback: { needsPerson: [stuck] } } })
    expect([told.exit, told.error?.code, told.error?.device]).toEqual([6, 'device/reset', 'vgpu'])
    for (const replies of [{ rollback: { devices } }, { status: { devices } }] as const) {
      const seen = await run({ mishaps, replies })
      expect([seen.exit, seen.error?.code, seen.error?.device]).toEqual([6, 'source/not-running', 'vgpu'])
    }
    const silent = await run({ mishaps: [...mishaps, { side: 'source', op: 'status', kind: 'error' }] })
    expect([silent.exit, silent.error?.code]).toEqual([6, 'source/not-checked'])
  })
})

describe('the ceiling and the other side', () => {
  const slow = { reason: 'rounds', estimatedBlackoutUs: 10_000_000, remainingBytes: '1073741824' } as const

  it('gives up before the cutover when the rest does not fit, exit 7', async () => {
    const { error, exit, pair } = await run({ replies: { precopy: slow } })
    expect([exit, error?.code]).toEqual([7, 'limit/not-converged'])
    expect(error?.message).toContain('1 GiB remain')
    expect(pair.trace).not.toContain('source cutover')
    expect(pair.source.state).toBe('RUNNING')
  })

  it('goes ahead when told to, and still ends with 7 when the cutover passes the limit', async () => {
    const cause = { code: 'limit/downtime', message: 'it would take too long' }
    const { exit, pair } = await run({
      onNotConverged: 'cutover',
      replies: { precopy: slow, cutover: { outcome: 'rolled-back', cause } },
    })
    expect(exit).toBe(7)
    expect(pair.trace).toContain('source cutover')
  })

  it.each([
    ['peer/run', 8],
    ['peer/version', 8],
    ['transfer/hash', 5],
  ])('a cutover rolled back for %s is exit %d', async (code, exit) => {
    const cutover = { outcome: 'rolled-back', cause: { code, message: 'so it was' } } as const
    expect(await run({ replies: { cutover } })).toMatchObject({ exit, error: { code } })
  })

  it('a cutover that leaves a device behind is exit 6 with its cause', async () => {
    const cause = { code: 'device/set-state', message: 'it did not come back', device: 'nic' }
    const { error, exit } = await run({ replies: { cutover: { outcome: 'needs-person', cause } } })
    expect([exit, error?.device]).toEqual([6, 'nic'])
  })

  it('lost pages after COMMIT are never called done', async () => {
    const lost = [{ iova: '0x3000', device: 'nic', expected: '3', found: '2' }]
    const { error, exit, pair } = await run({ replies: { check: { lostPages: 1, lost } } })
    expect([exit, error?.code]).toEqual([6, 'verify/lost-pages'])
    expect(error?.message).toContain('0x3000 (nic)')
    expect(pair.trace).not.toContain('source rollback')
  })

  it('a destination lost before its devices were held or closed: the source is not closed', async () => {
    const { exit, outcome, pair, error } = await run({
      mishaps: [{ side: 'destination', op: 'status', kind: 'dies' }],
    })
    expect([outcome, exit]).toEqual(['needs-person', 6])
    expect(error?.suggestion).toContain('ferry recover')
    expect(pair.trace).not.toContain('source release')
    expect(pair.source.state).toBe('STOP_COPY')
  })

  it('a source lost sight of after COMMIT changes nothing, but that it may still hold its devices is said', async () => {
    const { outcome, problems } = await run({ mishaps: [{ side: 'source', op: 'status', kind: 'dies' }] })
    expect(outcome).toBe('done')
    expect(problems.map(({ code }) => code)).toContain('source/not-released')
  })

  it('sides that tell different ends disagree, exit 8', async () => {
    const { exit } = await run({ replies: { receive: { outcome: 'discarded', reason: 'so it was' } } })
    expect(exit).toBe(8)
  })
})

describe('a cancel', () => {
  it('at any request of the way forward ends cancelled with the source RUNNING; after COMMIT it is too late', async () => {
    const all = (await run()).pair.sent.length
    for (let index = 0; index < all; index++) {
      let seen = 0
      const { exit, outcome, pair } = await run({
        at: (runner) => {
          if (seen++ === index) runner.cancel()
        },
      })
      if (pair.committed) {
        expect([outcome, exit]).toEqual(['done', 0])
      } else {
        expect([outcome, exit]).toEqual(['cancelled', 4])
        expect([null, 'RUNNING']).toContain(pair.source.state)
        expect(pair.trace.some((line) => line.endsWith(' cancel'))).toBe(true)
        expect(pair.destination.state).not.toBe('RUNNING')
      }
    }
  })

  it('is told to the helpers once, however often it is asked', async () => {
    const { pair } = await run({
      at: (runner, { op }) => {
        if (op !== 'track') return
        runner.cancel()
        runner.cancel()
      },
    })
    expect(pair.trace.filter((line) => line.endsWith(' cancel'))).toEqual([
      'source cancel',
      'destination cancel',
    ])
  })

  it('followed by a detach ends at once, unknown, and nothing is sent any more', async () => {
    let sent = 0
    let sentAtDetach = 0
    const { error, exit, pair, records } = await run({
      at: (runner, { op }) => {
        sent++
        if (op !== 'precopy') return
        runner.cancel()
        runner.detach()
        sentAtDetach = sent
      },
    })
    expect([exit, error?.code]).toEqual([9, 'run/detached'])
    expect(error?.suggestion).toContain(`ferry report ${RUN}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(pair.sent).toHaveLength(sentAtDetach)
    expect(records.at(-1)?.body.type).toBe('run-end')
  })
})

describe('exit codes', () => {
  it('follow from the outcome alone', async () => {
    for (const mishaps of [[], [{ side: 'source', op: 'map', kind: 'error' }]] as Mishap[][]) {
      const { exit, outcome, records } = await run({ mishaps })
      expect(exit).toBe(OUTCOME_EXIT[outcome])
      expect(records.at(-1)?.body).toMatchObject({ type: 'run-end', outcome, exit })
    }
  })
})
