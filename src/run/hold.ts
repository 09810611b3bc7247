/**
 * The hold of a run, as a pure state machine: requests, forecasts and the time go in, what is to be done comes out. No
 * clock, no timer, no I/O: src/run/hold-timer.ts carries the outputs out.
 *
 * INVARIANTS
 * 1. A run is released at most once, and only while it is held.
 * 2. Before the cutover it is released only when the newest forecast is within the limit of that moment.
 * 3. It is released by a request inside the window the request gave, or by a watchdog that was told to; never otherwise.
 * 4. After `stop` it is never released.
 */
import type { HoldPoint } from '../profile/profile.js'

/** A window's last moment is met by timers, which are late; a machine that slept through it has missed it. */
export const LATENESS_MS = 5000

export interface HoldState {
  readonly point: HoldPoint
  /** ahead: not come to yet. over: the run was cancelled or failed. */
  readonly stage: 'ahead' | 'held' | 'released' | 'over'
  readonly limitUs: number
  /** The newest forecast; null before there is one. */
  readonly expectedUs: number | null
  /** When the watchdog ends the hold; null: never, or not held. */
  readonly untilMs: number | null
  readonly onTimeout: 'cancel' | 'cutover'
  readonly asked: Asked | null
}
/** A request that has not been decided. Moments are wall clock, milliseconds since the epoch. */
export interface Asked {
  readonly id: number
  readonly fromMs: number
  readonly toMs: number
  readonly scheduled: boolean
}
export type HoldInput =
  /** The run has come to the point; held for `timeoutMs` at most. */
  | { readonly type: 'reached'; readonly nowMs: number; readonly timeoutMs: number | null }
  | { readonly type: 'forecast'; readonly nowMs: number; readonly expectedUs: number }
  | { readonly type: 'limit'; readonly nowMs: number; readonly limitUs: number }
  | {
      readonly type: 'ask'
      readonly nowMs: number
      readonly id: number
      readonly atMs: number | null
      readonly withinMs: number | null
    }
  | { readonly type: 'time'; readonly nowMs: number }
  | { readonly type: 'stop' }
/** What the one who asked is told. `scheduled` is told at once, what becomes of it by the journal alone. */
export type Answer =
  'accepted' | 'refused' | 'scheduled' | 'replaced' | 'dropped' | 'not-held' | 'past' | 'too-late'
export type HoldOutput =
  /** From now on the run is held. */
  | { readonly type: 'held'; readonly untilMs: number | null }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  /** For the journal. */
  | {
      readonly type: 'note'
      readonly state: 'scheduled' | 'waiting' | 'accepted' | 'refused'
      readonly atMs: number | null
      /** The end of the window of one that is scheduled. */
      readonly untilMs?: number
    }
  | { readonly type: 'release' }
  /** The watchdog: cancel the run; `ceiling`: because the cutover it was told to make does not fit. */
  | { readonly type: 'time-out'; readonly because: 'cancel' | 'ceiling' }
export interface HoldStep {
  readonly state: HoldState
  readonly outputs: readonly HoldOutput[]
}

export function newHold(point: HoldPoint, limitUs: number, onTimeout: HoldState['onTimeout']): HoldState {
  return { point, stage: 'ahead', limitUs, expectedUs: null, untilMs: null, onTimeout, asked: null }
}

/** Where no page has been sent there is nothing a forecast could say, and a release starts no blackout. */
export function fits({ expectedUs, limitUs, point }: HoldState): boolean {
  return point !== 'before-cutover' || (expectedUs !== null && expectedUs <= limitUs)
}

/** When `time` has to be told next; null: not before something else happens. */
export function nextMoment({ asked, stage, untilMs }: HoldState, nowMs: number): number | null {
  if (stage === 'released' || stage === 'over') return null
  const moments = [
    stage === 'held' ? untilMs : null,
    asked === null ? null : asked.fromMs > nowMs ? asked.fromMs : asked.toMs,
  ].filter((moment) => moment !== null)
  return moments.length === 0 ? null : Math.min(...moments)
}

/** The state after one more input, and what is to be done about it, in order. */
export function holdStep(state: HoldState, input: HoldInput): HoldStep {
  switch (input.type) {
    case 'stop':
      return stop(state)
    case 'ask':
      return ask(state, input)
    case 'reached': {
      if (state.stage !== 'ahead') return { state, outputs: [] }
      const untilMs = input.timeoutMs === null ? null : input.nowMs + input.timeoutMs
      return after([{ type: 'held', untilMs }], decide({ ...state, stage: 'held', untilMs }, input.nowMs))
    }
    case 'forecast':
      return decide({ ...state, expectedUs: input.expectedUs }, input.nowMs)
    case 'limit':
      return decide({ ...state, limitUs: input.limitUs }, input.nowMs)
    case 'time':
      return decide(state, input.nowMs)
  }
}

function stop(state: HoldState): HoldStep {
  if (state.stage === 'over') return { state, outputs: [] }
  return { state: { ...state, stage: 'over', asked: null }, outputs: answerTo(state.asked, 'dropped') }
}

/** Everybody is answered once; who asked for a later moment has been. */
function answerTo(asked: Asked | null, answer: Answer): readonly HoldOutput[] {
  return asked === null || asked.scheduled ? [] : [{ type: 'answer', id: asked.id, answer }]
}

function ask(state: HoldState, { atMs, id, nowMs, withinMs }: Extract<HoldInput, { type: 'ask' }>): HoldStep {
  const refuse = (answer: Answer): HoldStep => ({ state, outputs: [{ type: 'answer', id, answer }] })
  if (state.stage === 'released' || state.stage === 'over') return refuse('too-late')
  if (atMs !== null && atMs < nowMs) return refuse('past')
  if (state.stage === 'ahead' && atMs === null && withinMs === null) return refuse('not-held')
  const fromMs = atMs ?? nowMs
  const asked = { id, fromMs, toMs: fromMs + (withinMs ?? 0), scheduled: atMs !== null }
  const before = answerTo(state.asked, 'replaced')
  if (asked.scheduled) {
    const now: HoldOutput[] = [
      { type: 'note', state: 'scheduled', atMs, ...(withinMs !== null && { untilMs: asked.toMs }) },
      { type: 'answer', id, answer: 'scheduled' },
    ]
    return after([...before, ...now], decide({ ...state, asked }, nowMs))
  }
  const decided = decide({ ...state, asked }, nowMs)
  const waits: HoldOutput[] =
    decided.state.asked === asked ? [{ type: 'note', state: 'waiting', atMs: null }] : []
  return after([...before, ...waits], decided)
}

function after(outputs: readonly HoldOutput[], step: HoldStep): HoldStep {
  return { state: step.state, outputs: [...outputs, ...step.outputs] }
}

/** First the request, then the watchdog: who asked in time is not overtaken by it. */
function decide(state: HoldState, nowMs: number): HoldStep {
  if (state.stage !== 'held' && state.stage !== 'ahead') return { state, outputs: [] }
  const requested = decideAsked(state, nowMs)
  if (requested.state.stage !== 'held') return requested
  return after(requested.outputs, decideTimeout(requested.state, nowMs))
}

function decideAsked(state: HoldState, nowMs: number): HoldStep {
  const { asked, stage } = state
  if (asked === null || nowMs < asked.fromMs) return { state, outputs: [] }
  const atMs = asked.scheduled ? asked.fromMs : null
  if (stage === 'held' && fits(state) && nowMs <= asked.toMs + LATENESS_MS) {
    return {
      state: { ...state, stage: 'released', asked: null, untilMs: null },
      outputs: [
        { type: 'note', state: 'accepted', atMs },
        ...answerTo(asked, 'accepted'),
        { type: 'release' },
      ],
    }
  }
  if (nowMs < asked.toMs) return { state, outputs: [] }
  return {
    state: { ...state, asked: null },
    outputs: [
      { type: 'note', state: 'refused', atMs },
      ...answerTo(asked, stage === 'held' ? 'refused' : 'not-held'),
    ],
  }
}

function decideTimeout(state: HoldState, nowMs: number): HoldStep {
  const { onTimeout, untilMs } = state
  if (untilMs === null || nowMs < untilMs) return { state, outputs: [] }
  const late = answerTo(state.asked, 'dropped')
  if (onTimeout === 'cutover' && fits(state)) {
    const released = { ...state, stage: 'released', asked: null, untilMs: null } as const
    return {
      state: released,
      outputs: [...late, { type: 'note', state: 'accepted', atMs: null }, { type: 'release' }],
    }
  }
  return {
    state: { ...state, stage: 'over', asked: null, untilMs: null },
    outputs: [...late, { type: 'time-out', because: onTimeout === 'cutover' ? 'ceiling' : 'cancel' }],
  }
}
