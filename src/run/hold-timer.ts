import type { BlackoutForecast } from '../protocol/protocol.js'
import { holdStep, newHold, nextMoment, type Answer, type HoldInput, type HoldState } from './hold.js'
import type { HoldPoint, Profile } from '../profile/profile.js'
import type { EventStream } from '../journal/event-stream.js'

/** What one who asked for the cutover is told. */
export interface CutoverAnswer {
  readonly answer: Answer
  /** The newest forecast; null before a round has ended. */
  readonly forecast: BlackoutForecast | null
  readonly expectedUs: number | null
  readonly limitUs: number
}
export interface CutoverAsk {
  /** Wall clock, milliseconds since the epoch; null: now. */
  readonly atMs: number | null
  /** How long to wait for a moment that fits; null: not at all. */
  readonly withinMs: number | null
}
export interface KeeperInput {
  readonly point: HoldPoint
  readonly migration: Profile['migration']
  readonly events: EventStream
  /** The watchdog's end. */
  readonly onTimeout: (because: 'cancel' | 'ceiling') => void
  /** Wall clock, milliseconds since the epoch. */
  readonly nowMs?: () => number
}

/** Longer timers overflow and fire at once. */
const LONGEST_TIMER_MS = 3_600_000

/** Carries out what the state machine of the hold says: timers, journal, and answers to those who asked. */
export class HoldKeeper {
  private current: HoldState
  private forecast: BlackoutForecast | null = null
  private readonly input: KeeperInput
  private readonly nowMs: () => number
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private readonly released: Promise<void>
  private release: () => void = () => undefined
  private timer: NodeJS.Timeout | undefined
  private ids = 0

  constructor(input: KeeperInput) {
    const { downtimeLimitMs, holdEnd } = input.migration
    this.input = input
    this.nowMs = input.nowMs ?? Date.now
    this.current = newHold(input.point, downtimeLimitMs * 1000, holdEnd)
    this.released = new Promise((resolve) => {
      this.release = resolve
    })
  }

  get state(): HoldState {
    return this.current
  }

  /** The run has come to its point. Resolves when it is continued; never, when it is cancelled instead. */
  wait(): Promise<void> {
    const timeoutMs = this.input.migration.holdTimeoutMs
    this.feed({ type: 'reached', nowMs: this.nowMs(), timeoutMs })
    return this.released
  }

  round(expectedUs: number, forecast: BlackoutForecast | null): void {
    this.forecast = forecast
    this.feed({ type: 'forecast', nowMs: this.nowMs(), expectedUs })
  }

  limit(limitMs: number): void {
    this.feed({ type: 'limit', nowMs: this.nowMs(), limitUs: limitMs * 1000 })
  }

  /** Resolves once it is decided, which with `withinMs` takes as long as that; `scheduled` is told at once. */
  ask(asked: CutoverAsk): Promise<CutoverAnswer> {
    const id = ++this.ids
    const told = new Promise<Answer>((resolve) => this.waiting.set(id, resolve))
    this.feed({ type: 'ask', nowMs: this.nowMs(), id, ...asked })
    return told.then((answer) => ({ answer, ...this.figures() }))
  }

  /** The run was cancelled, failed, or is over: no run is continued any more, and every waiting request is answered. */
  stop(): void {
    this.feed({ type: 'stop' })
    clearTimeout(this.timer)
  }

  figures(): Omit<CutoverAnswer, 'answer'> {
    const { expectedUs, limitUs } = this.current
    return { forecast: this.forecast, expectedUs, limitUs }
  }

  private feed(input: HoldInput): void {
    const { outputs, state } = holdStep(this.current, input)
    this.current = state
    const { events, onTimeout, point } = this.input
    for (const output of outputs) {
      if (output.type === 'answer') {
        this.waiting.get(output.id)?.(output.answer)
        this.waiting.delete(output.id)
      } else if (output.type === 'note') {
        const { expectedUs, limitUs } = state
        events.emit({
          type: 'cutover-asked',
          state: output.state,
          ...(output.atMs !== null && { atMs: output.atMs }),
          ...(output.untilMs !== undefined && { untilMs: output.untilMs }),
          ...(expectedUs !== null && { forecastUs: expectedUs }),
          limitUs,
        })
      } else if (output.type === 'held') {
        const { untilMs } = output
        events.emit({ type: 'hold', point, state: 'held', ...(untilMs !== null && { untilMs }) })
      } else if (output.type === 'release') {
        events.emit({ type: 'hold', point, state: 'released' })
        this.release()
      } else {
        events.emit({ type: 'hold', point, state: 'timed-out' })
        onTimeout(output.because)
      }
    }
    this.arm()
  }

  private arm(): void {
    clearTimeout(this.timer)
    const nowMs = this.nowMs()
    const next = nextMoment(this.current, nowMs)
    if (next === null) return
    const delay = Math.min(Math.max(0, next - nowMs), LONGEST_TIMER_MS)
    this.timer = setTimeout(() => this.feed({ type: 'time', nowMs: this.nowMs() }), delay)
    this.timer.unref()
  }
}
