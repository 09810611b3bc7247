import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  fits,
  holdStep,
  LATENESS_MS,
  newHold,
  nextMoment,
  type HoldInput,
  type HoldOutput,
  type HoldState,
} from '../../src/run/hold.js'

const LIMIT = 300_000

/** Feeds inputs in order; `outputs[i]` came of `inputs[i]`. */
function feed(inputs: readonly HoldInput[], from: HoldState = newHold('before-cutover', LIMIT, 'cancel')) {
  const outputs: (readonly HoldOutput[])[] = []
  const states: HoldState[] = []
  let state = from
  for (const input of inputs) {
    const step = holdStep(state, input)
    state = step.state
    states.push(state)
    outputs.push(step.outputs)
  }
  return { state, states, outputs }
}
const reached = (nowMs: number, timeoutMs: number | null = null): HoldInput => ({
  type: 'reached',
  nowMs,
  timeoutMs,
})
const forecast = (nowMs: number, expectedUs: number): HoldInput => ({ type: 'forecast', nowMs, expectedUs })
const ask = (
  nowMs: number,
  id = 1,
  atMs: number | null = null,
  withinMs: number | null = null,
): HoldInput => ({
  ...{ type: 'ask', nowMs, id, atMs, withinMs },
})
const time = (nowMs: number): HoldInput => ({ type: 'time', nowMs })
const answers = (outputs: readonly (readonly HoldOutput[])[]) =>
  outputs.flat().flatMap((output) => (output.type === 'answer' ? [[output.id, output.answer]] : []))
const released = (outputs: readonly (readonly HoldOutput[])[]) =>
  outputs.flat().filter(({ type }) => type === 'release').length

describe('a hold before the cutover', () => {
  it('continues when asked while the forecast fits, and only then', () => {
    expect(answers(feed([reached(0), ask(1)]).outputs)).toEqual([[1, 'refused']])
    expect(answers(feed([reached(0), forecast(1, LIMIT + 1), ask(2)]).outputs)).toEqual([[1, 'refused']])
    const { outputs, state } = feed([reached(0), forecast(1, LIMIT), ask(2)])
    expect([answers(outputs), released(outputs), state.stage]).toEqual([[[1, 'accepted']], 1, 'released'])
  })

  it('tells who asks before it is reached, and keeps a request with a window', () => {
    expect(answers(feed([forecast(0, 1), ask(1)]).outputs)).toEqual([[1, 'not-held']])
    const { outputs } = feed([ask(1, 1, null, 100), forecast(2, 1), reached(3)])
    expect(answers(outputs)).toEqual([[1, 'accepted']])
  })

  it('waits within a window for a moment that fits, and refuses at its end', () => {
    const start = [reached(0), forecast(0, LIMIT * 2), ask(10, 7, null, 1000)]
    const waiting = feed(start)
    expect(nextMoment(waiting.state, 10)).toBe(1010)
    expect(answers(feed([...start, time(900), forecast(950, 1)]).outputs)).toEqual([[7, 'accepted']])
    expect(answers(feed([...start, time(1010)]).outputs)).toEqual([[7, 'refused']])
    expect(feed([...start, time(1010)]).state.stage).toBe('held')
  })

  it('continues at a time, not before it, and not when the machine slept through it', () => {
    const start = [reached(0), forecast(0, 1), ask(10, 1, 5000)]
    expect(released(feed([...start, time(4999)]).outputs)).toBe(0)
    expect(released(feed([...start, time(5003)]).outputs)).toBe(1)
    const late = feed([...start, time(5000 + LATENESS_MS + 1)])
    expect([released(late.outputs), late.state.stage]).toEqual([0, 'held'])
    expect(answers(feed([reached(0), ask(10, 1, 9)]).outputs)).toEqual([[1, 'past']])
  })

  it('gives the place of a request to the next one', () => {
    const { outputs } = feed([
      reached(0),
      forecast(0, LIMIT * 2),
      ask(1, 1, null, 100),
      ask(2, 2, null, 100),
      time(200),
    ])
    expect(answers(outputs)).toEqual([
      [1, 'replaced'],
      [2, 'refused'],
    ])
  })

  it('drops a request at a cancel, and what comes after is too late', () => {
    const { outputs } = feed([reached(0), ask(1, 1, null, 100), { type: 'stop' }, forecast(2, 1), ask(3, 2)])
    expect(answers(outputs)).toEqual([
      [1, 'dropped'],
      [2, 'too-late'],
    ])
  })

  it('ends by its watchdog as it was told', () => {
    const cancel = feed([reached(0, 100), forecast(1, 1), time(100)])
    expect(cancel.outputs.at(-1)).toEqual([{ type: 'time-out', because: 'cancel' }])
    const cutover = newHold('before-cutover', LIMIT, 'cutover')
    expect(released(feed([reached(0, 100), forecast(1, 1), time(100)], cutover).outputs)).toBe(1)
    const ceiling = feed([reached(0, 100), forecast(1, LIMIT + 1), time(100)], cutover)
    expect(ceiling.outputs.at(-1)).toEqual([{ type: 'time-out', because: 'ceiling' }])
    expect(ceiling.state.stage).toBe('over')
  })
})

describe('a hold before any page was sent', () => {
  it('asks for no forecast', () => {
    const { outputs } = feed([reached(0), ask(1)], newHold('after-pin', LIMIT, 'cancel'))
    expect(released(outputs)).toBe(1)
  })
})

describe('whatever comes in whatever order', () => {
  const input = fc.oneof(
    fc.record({ type: fc.constant('reached' as const), timeoutMs: fc.option(fc.nat(3000)) }),
    fc.record({ type: fc.constant('forecast' as const), expectedUs: fc.nat(2 * LIMIT) }),
    fc.record({ type: fc.constant('limit' as const), limitUs: fc.nat(2 * LIMIT) }),
    fc.record({
      type: fc.constant('ask' as const),
      // Later than now, or before.
      inMs: fc.option(fc.integer({ min: -100, max: 3000 })),
      withinMs: fc.option(fc.nat(3000)),
    }),
    fc.constant({ type: 'time' as const }),
    fc.constant({ type: 'stop' as const }),
  )
  const inputs = fc.array(fc.tuple(fc.oneof(fc.nat(500), fc.nat(20_000)), input), { maxLength: 40 })
  const first = fc.record({
    point: fc.constantFrom('after-pin' as const, 'before-cutover' as const),
    end: fc.constantFrom('cancel' as const, 'cutover' as const),
  })

  it('is continued at most once, while held, within the limit, in a window asked for or by its watchdog; never after a cancel; everybody is answered once', () => {
    fc.assert(
      fc.property(first, inputs, ({ end, point }, steps) => {
        let state = newHold(point, LIMIT, end)
        let nowMs = 1_000_000
        let stopped = false
        let releases = 0
        const asked: { id: number; fromMs: number; toMs: number }[] = []
        const answered = new Map<number, string>()
        for (const [afterMs, { type, ...rest }] of steps) {
          nowMs += afterMs
          const before = state
          let given: HoldInput
          if (type === 'ask') {
            const { inMs, withinMs } = rest as { inMs: number | null; withinMs: number | null }
            const id = asked.length + 1
            const atMs = inMs === null ? null : nowMs + inMs
            asked.push({ id, fromMs: atMs ?? nowMs, toMs: (atMs ?? nowMs) + (withinMs ?? 0) })
            given = { type, nowMs, id, atMs, withinMs }
          } else given = { type, nowMs, ...rest } as HoldInput
          const step = holdStep(state, given)
          state = step.state
          if (type === 'stop') stopped = true
          for (const output of step.outputs) {
            if (output.type === 'answer') {
              expect(answered.has(output.id)).toBe(false)
              answered.set(output.id, output.answer)
            }
            if (output.type === 'time-out') stopped = true
            if (output.type !== 'release') continue
            releases++
            expect(stopped).toBe(false)
            expect(before.stage === 'held' || type === 'reached').toBe(true)
            expect(fits(state)).toBe(true)
            if (point === 'before-cutover')
              expect(state.expectedUs ?? Infinity).toBeLessThanOrEqual(state.limitUs)
            const window = asked.some(({ fromMs, toMs }) => fromMs <= nowMs && nowMs <= toMs + LATENESS_MS)
            const watchdog = end === 'cutover' && before.untilMs !== null && nowMs >= before.untilMs
            const zero = given.type === 'reached' && given.timeoutMs === 0 && end === 'cutover'
            expect(window || watchdog || zero).toBe(true)
          }
          expect(releases).toBeLessThanOrEqual(1)
          const next = nextMoment(state, nowMs)
          if (next !== null) expect(state.stage === 'held' || state.stage === 'ahead').toBe(true)
        }
        // The one that is not answered is the one that still waits.
        const open = asked.filter(({ id }) => !answered.has(id)).map(({ id }) => id)
        expect(open.every((id) => state.asked?.id === id)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})
