/** What an operator has in hand while a run is under way: limits, the hold, hooks. */
import { FerryError, wireCode } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { CutoverPause, HelperErrorBody, HelperEvent } from '../protocol/protocol.js'
import type { Helper, Limits, RoundEnd, Settled, Steering } from '../phases/index.js'
import type { HoldPoint, Profile } from '../profile/profile.js'
import type { HookPoint } from '../points.js'
import type { EventRecord, SavedLimits, Settable } from '../journal/event.js'
import { HoldKeeper, type CutoverAnswer, type CutoverAsk } from './hold-timer.js'
import { HookRunner, type HookHost } from './hooks.js'
import type { LeftAt, Scheduled } from './left-at.js'
import type { Session } from './session.js'
import { limitsOf, readSetting, textOf } from './settings.js'

export interface RunSteeringInput {
  /** Holds and hooks are for moves; what only measures has none. */
  readonly steered: boolean
  readonly hostOf: (on: 'source' | 'destination' | 'ferry') => HookHost
  /** Where another ferry left the run. */
  readonly left?: LeftAt | undefined
  /** Ends the run as a cancel does, for a cause of its own. */
  readonly cancel: (cause: HelperErrorBody) => void
}

/**
 * INVARIANTS
 * 1. A limit is changed by `set` alone, in the journal before it counts.
 * 2. Only the state machine of its hold continues a run.
 * 3. A pause inside the blackout is always answered, unless the run was cancelled: then the helper knows already.
 */
export class RunSteering implements Steering {
  limits: Limits
  lastRound: RoundEnd | null = null
  readonly keeper: HoldKeeper | null
  private readonly session: Session
  private readonly input: RunSteeringInput
  private readonly hookRunner: HookRunner
  private readonly watchers = new Set<(round: RoundEnd) => void>()
  private pauses = new AbortController()
  private paused: Promise<void> = Promise.resolve()
  private closed = false

  constructor(session: Session, input: RunSteeringInput) {
    const { events, profile, run } = session
    this.session = session
    this.input = input
    const { left } = input
    this.limits = left?.limits ?? limitsOf(profile)
    const point = input.steered && left?.released !== true ? profile.migration.hold : null
    const holdTimeoutMs =
      left === undefined || left.untilMs === null ? profile.migration.holdTimeoutMs : untilThen(left.untilMs)
    this.keeper =
      point === null
        ? null
        : new HoldKeeper({
            point,
            migration: { ...profile.migration, holdTimeoutMs },
            events,
            onTimeout: (because) => input.cancel(holdTimedOutBody(profile, because, this.lastRound)),
          })
    this.hookRunner = new HookRunner({
      run,
      profile,
      events,
      hostOf: input.hostOf,
      forecastUs: () => this.lastRound?.expectedUs ?? null,
      onProblem: (problem) => session.state.problems.push(problem),
      ...(left !== undefined && { ran: left.hooks }),
    })
    const limits = left?.limits ?? null
    if (limits !== null) this.keeper?.limit(limits.downtimeLimitMs)
    // After everybody has heard it: what is said about an event comes after the event, for every listener.
    events.subscribe((record) => queueMicrotask(() => this.listen(record)))
  }

  /**
   * What was asked of the run before is asked again. A cutover whose time has passed meanwhile is not made up for: nobody
   * may expect a blackout now. It is returned, and the hold holds.
   */
  takeUp(): Scheduled | null {
    const { input, keeper, session } = this
    const scheduled = input.left?.scheduled ?? null
    if (keeper === null || scheduled === null) return null
    const { atMs, untilMs } = scheduled
    if (atMs > Date.now()) {
      void keeper.ask({ atMs, withinMs: untilMs === null ? null : untilMs - atMs })
      return null
    }
    session.events.emit({
      type: 'cutover-asked',
      state: 'missed',
      atMs,
      ...(untilMs !== null && { untilMs }),
    })
    return scheduled
  }

  get savedLimits(): SavedLimits {
    const { bandwidth, ...rest } = this.limits
    return { ...rest, bandwidth: bandwidth === null ? null : bandwidth.toString() }
  }

  holdsAt(point: HoldPoint): boolean {
    return this.keeper?.state.point === point
  }

  async hold(point: HoldPoint): Promise<void> {
    const { keeper } = this
    if (keeper === null || keeper.state.point !== point) return
    await this.unlessBroken(keeper.wait())
  }

  hasHooks(at: HookPoint): boolean {
    return this.input.steered && this.hookRunner.at(at).length > 0
  }

  async hooks(at: HookPoint): Promise<void> {
    if (!this.hasHooks(at)) return
    await this.hookRunner.run(at, this.session.stopped)
    if (this.session.cancelAsked) throw cancelledError()
  }

  /** Those after the end of the run's own work, which a cancel does not stop. */
  async lastHooks(at: HookPoint, outcome: string): Promise<void> {
    if (this.hasHooks(at)) await this.hookRunner.run(at, this.session.detached.signal, outcome)
  }

  round(enough: (round: RoundEnd) => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.watchers.delete(watch)
        resolve()
      }
      const watch = (round: RoundEnd): void => {
        if (enough(round)) done()
      }
      const timer = setTimeout(done, timeoutMs)
      timer.unref()
      this.watchers.add(watch)
    })
  }

  async endPauses(): Promise<void> {
    this.pauses.abort()
    await this.paused
    this.pauses = new AbortController()
  }

  /** The run goes back or is over: every waiting request is answered, and no limit changes any more. */
  close(): void {
    this.closed = true
    this.keeper?.stop()
  }

  ask(asked: CutoverAsk): Promise<CutoverAnswer> {
    if (this.keeper === null) {
      throw new FerryError({
        code: 'cutover/no-hold',
        exit: EXIT.error,
        message: `run ${this.session.run} is not held and will not be: it goes on to its end by itself`,
        suggestions: ['start it with --hold, or with `migration.hold` in its profile'],
      })
    }
    return this.keeper.ask(asked)
  }

  /** Throws a usage error for a value that makes no sense, and what the helper says against it. */
  async set(key: Settable, text: string): Promise<void> {
    const { session } = this
    const { events, profile } = session
    const setting = readSetting(key, text, this.limits, profile.transport.maxStreams)
    if (this.closed || session.attempted('source', 'cutover')) {
      throw new FerryError({
        code: 'set/too-late',
        exit: EXIT.error,
        message: `run ${this.session.run} is past the point where ${key} can change`,
      })
    }
    const before = this.limits
    this.limits = setting.limits
    events.emit({ type: 'set', key, value: setting.value, limits: this.savedLimits })
    this.keeper?.limit(this.limits.downtimeLimitMs)
    // The helper is told the limits when the rounds begin; after that it has to be told what changed.
    if (!session.attempted('source', 'connect')) return
    if (key !== 'streams' && (!session.attempted('source', 'precopy') || session.state.precopy !== null))
      return
    const what = `set ${key} to ${setting.value}`
    try {
      await session.step({ side: 'source', op: 'tune', params: setting.tune, text: what })
    } catch (error) {
      this.limits = before
      const reset = readSetting(key, textOf(key, before), before, null)
      events.emit({ type: 'set', key, value: reset.value, limits: this.savedLimits })
      this.keeper?.limit(before.downtimeLimitMs)
      throw error
    }
  }

  private listen({ body }: EventRecord): void {
    if (body.type !== 'helper' || body.side !== 'source') return
    const { event } = body
    if (event.event === 'round-end') this.roundEnd(event)
    if (event.event === 'paused') this.paused = this.pause(event.at)
  }

  private roundEnd(event: Extract<HelperEvent, { event: 'round-end' }>): void {
    const forecast = event.forecast ?? null
    const expectedUs = forecast?.expectedUs ?? event.estimatedBlackoutUs
    this.lastRound = { round: event.round, forecast, expectedUs }
    this.keeper?.round(expectedUs, forecast)
    for (const watch of [...this.watchers]) watch(this.lastRound)
  }

  private async pause(at: CutoverPause): Promise<void> {
    const { session } = this
    const signal = AbortSignal.any([session.stopped, this.pauses.signal])
    let abort: { readonly code: string; readonly message: string } | undefined
    try {
      await this.hookRunner.run(at, signal)
    } catch (error) {
      const { code, message } = errorBodyOf(error)
      abort = { code, message }
    }
    if (signal.aborted) return
    try {
      await session.step({
        side: 'source',
        op: 'continue',
        params: { at, ...(abort !== undefined && { abort }) },
        text: abort === undefined ? `go on after ${at}` : `undo the cutover: ${abort.message}`,
      })
    } catch (error) {
      session.state.problems.push(errorBodyOf(error))
    }
  }

  /** Rejects when the run is cancelled, or a helper or the transfer between them ends, before `work` is done. */
  private unlessBroken(work: Promise<void>): Promise<void> {
    const { cancelled, destination, source, state } = this.session
    const { signal } = cancelled
    const { receive } = state
    return new Promise((resolve, reject) => {
      const broken = (error: FerryError): void => reject(error)
      signal.addEventListener('abort', () => broken(cancelledError()), { once: true })
      if (signal.aborted) broken(cancelledError())
      for (const helper of [source, destination]) {
        void helper?.ended?.then(() => broken(helperGoneError(helper)))
      }
      void receive?.then((settled) => broken(receiveEndedError(settled)))
      work.then(resolve, reject)
    })
  }
}

function untilThen(atMs: number): number {
  return Math.max(0, atMs - Date.now())
}

function cancelledError(): FerryError {
  return new FerryError({ code: 'run/cancelled', exit: EXIT.cancelled, message: 'cancelled by the operator' })
}

function helperGoneError({ label, side }: Helper): FerryError {
  return new FerryError({
    code: 'helper/died',
    exit: EXIT.error,
    message: `${label} ended while the run was held`,
    side,
  })
}

function receiveEndedError(
  settled: Settled<{ readonly outcome: string; readonly reason?: string }>,
): FerryError {
  const [code, why] = settled.ok
    ? ['link/lost', settled.reply.reason ?? settled.reply.outcome]
    : [settled.error.code, settled.error.message]
  return new FerryError({
    code: wireCode(code),
    exit: EXIT.error,
    message: `the destination discarded the run while it was held: ${why}`,
    side: 'destination',
  })
}

function holdTimedOutBody(
  { migration }: Profile,
  because: 'cancel' | 'ceiling',
  last: RoundEnd | null,
): HelperErrorBody {
  const held = `the run was held for ${(migration.holdTimeoutMs ?? 0) / 1000} s and was not continued`
  if (because === 'cancel') return { code: 'hold/timed-out', message: held }
  const forecast = last === null ? 'no round had ended' : `the blackout would take ${last.expectedUs} µs`
  return { code: 'limit/hold', message: `${held}; it was to cut over then, and ${forecast}` }
}
