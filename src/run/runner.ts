import { FerryError } from '../errors.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { OUTCOME_EXIT } from './outcome.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody } from '../protocol/protocol.js'
import { AROUND, rollback, type Phase } from '../phases/index.js'
import type { PhaseName } from '../plan/plan.js'
import type { Event, Outcome, PlanForecast, Settable } from '../journal/event.js'
import type { CutoverAnswer, CutoverAsk } from './hold-timer.js'
import type { HookHost } from './hooks.js'
import { packed } from './whole.js'
import type { Scheduled } from './left-at.js'
import { planDigest } from '../journal/plan-digest.js'
import { judgeFailure, rootCause, type Failure } from './outcome.js'
import { askDestination, type Patience, type CutoverFate } from './ask-destination.js'
import { sideAddresses } from './side-address.js'
import { Session, type SessionInput } from './session.js'
import { RunSteering } from './steering.js'

export interface RunnerInput extends SessionInput {
  readonly command: Extract<Event, { type: 'run-start' }>['command']
  readonly phases: readonly Phase[]
  /** With a destination that does not come to rest after a cutover without an answer. */
  readonly patience?: Patience
  /** ferry's version. */
  readonly version: string
  /** Where hooks run; absent: this profile has none. */
  readonly hostOf?: (on: 'source' | 'destination' | 'ferry') => HookHost
  /** What was forecast before the run. */
  readonly expected?: PlanForecast
}
export interface RunResult {
  readonly run: string
  readonly outcome: Outcome
  readonly exit: ExitCode
  readonly error: HelperErrorBody | null
  /** What else went wrong without changing the outcome. */
  readonly problems: readonly HelperErrorBody[]
}

/**
 * Carries out one run: phase by phase, each request journaled before and after; on a failure or a cancel, back
 * again in reverse order.
 *
 * INVARIANTS
 * 1. Nothing is sent before its intent is in the journal; nothing new is begun without a journal.
 * 2. After COMMIT nothing is undone; before it, every step that was done and can be undone is, last first.
 * 3. A run that was not committed ends with the source rolled back and seen RUNNING, or with the device that is
 *    not named (outcome needs-person), or says that it does not know (outcome unknown). Never silence.
 * 4. The source is rolled back after a cutover without an answer only when the destination confirmed that it
 *    discarded the run.
 * 5. `execute` does not throw and ends with exactly one run-end; its outcome alone decides the exit code.
 * 6. What is asked of a run from outside (cancel, set, cutover) is in its journal before it has an effect.
 */
export class Runner {
  private readonly input: RunnerInput
  private readonly session: Session
  private readonly steering: RunSteering
  private cause: HelperErrorBody | null = null
  private resolveDetached: (result: RunResult) => void = () => undefined
  private readonly detached: Promise<RunResult>
  private over = false

  constructor(input: RunnerInput) {
    this.input = input
    this.session = new Session(input)
    this.steering = new RunSteering(this.session, {
      steered: input.command === 'migrate',
      hostOf: input.hostOf ?? noHost,
      cancel: (cause) => this.cancel(cause),
      left: input.left,
    })
    this.detached = new Promise((resolve) => {
      this.resolveDetached = resolve
    })
  }

  /** `control`: the socket it can be asked at meanwhile. */
  async execute(control?: string): Promise<RunResult> {
    const { command, events, expected, plan, profile, run, version } = this.input
    const addresses = command === 'migrate' ? sideAddresses(profile, plan, run) : undefined
    const { hold } = profile.migration
    events.emit({
      type: 'run-start',
      run,
      command,
      profile: profile.name,
      file: profile.file,
      version,
      plan: planDigest(plan),
      pid: process.pid,
      ...(addresses !== undefined && { seats: addresses }),
      ...(command === 'migrate' && { limits: this.steering.savedLimits, ...(hold !== null && { hold }) }),
      ...(expected !== undefined && { expected }),
      ...(control !== undefined && { control }),
      ...(command === 'migrate' && { whole: packed(profile, plan) }),
    })
    return this.toItsEnd()
  }

  /**
   * Takes up the run that another ferry left, from both helpers; throws when one of them has begun to undo it. Nothing of
   * the run is changed by that alone. Returns the cutover that was asked for a time which has passed.
   */
  async takeUp(epoch: number): Promise<Scheduled | null> {
    const { events, version } = this.input
    const { session } = this
    events.emit({ type: 'recover-start', epoch, version, goesOn: true })
    session.phase = 'pre-copy'
    const text = 'go on with the run'
    for (const side of ['source', 'destination'] as const) {
      await session.step({ side, op: 'take-up', params: {}, text })
    }
    const receive = { side: 'destination', op: 'receive', params: {}, text: 'receive the workload' } as const
    session.state.receive = session.background(receive)
    return this.steering.takeUp()
  }

  /** From where it stands. */
  async toItsEnd(): Promise<RunResult> {
    const result = await Promise.race([this.runPhases(), this.detached])
    return this.finish(result)
  }

  /** Whether it is too late for a cancel. */
  get committed(): boolean {
    return this.session.state.committed || this.over
  }

  /**
   * Asks both helpers to stop what they do; the run then goes back, and `execute` ends. Too late after COMMIT.
   * `cause`: why, when it is not the operator who asks.
   */
  cancel(cause: HelperErrorBody | null = null): void {
    if (this.over || this.session.cancelAsked) return
    this.cause = cause
    this.input.events.emit({ type: 'cancel-asked' })
    this.session.cancel()
    this.steering.close()
    for (const helper of [this.input.source, this.input.destination]) {
      if (helper === null || !helper.alive || !this.session.attempted(helper.side, 'claim')) continue
      helper
        .request('cancel', {})
        .catch((error: unknown) => this.session.state.problems.push(errorBodyOf(error)))
    }
  }

  /** Lets a held run go, now or at a moment that fits; see HoldKeeper. */
  cutover(asked: CutoverAsk): Promise<CutoverAnswer> {
    return this.steering.ask(asked)
  }

  /** Changes a limit of the run. Throws a FerryError when it cannot be changed so, or not any more. */
  set(key: Settable, value: string): Promise<void> {
    return this.steering.set(key, value)
  }

  /** Stops waiting. The helpers see the end of their stdin: before COMMIT they put everything back by themselves. */
  detach(): void {
    const { run } = this.input
    this.session.detach()
    this.resolveDetached(
      this.result('unknown', {
        code: 'run/detached',
        message:
          `ferry detached from run ${run}; its helpers roll it back if it was not committed, and ` +
          'leave the destination running if it was',
        suggestion:
          `\`ferry report ${run}\` shows how far it came; \`ferry devices\` shows what state the devices are in; a run ` +
          'that is to go on without its terminal is started with `ferry migrate --detach`',
      }),
    )
  }

  private async runPhases(): Promise<RunResult> {
    const { session } = this
    const started: Phase[] = []
    let failure: Failure | null = null
    for (const phase of this.input.phases) {
      if (failure !== null) break
      started.push(phase)
      if (this.input.left?.passed.has(phase.name) === true) continue
      failure = await this.runAsPhase(phase.name, () => this.runWithHooks(phase))
      if (failure !== null && session.state.outcomeUnknown && !session.state.committed) {
        const fate = await this.cutoverFate()
        if (fate === 'unknown') return this.result('unknown', this.unknownError(failure))
        // Whether its devices run is for the commit to say.
        if (fate === 'running' || fate === 'stuck') failure = null
      }
      // From here on only the commit is left, and it is not cancelled.
      if (session.state.committed) session.forward = false
    }
    if (session.state.committed) return this.finishForward(failure)
    return this.rollBack(started, failure)
  }

  /** A phase with the hooks and the hold that stand around it. */
  private async runWithHooks(phase: Phase): Promise<void> {
    const { after, before, hold } = AROUND[phase.name] ?? {}
    if (before !== undefined) await this.steering.hooks(before)
    await phase.run(this.session, this.steering)
    if (after !== undefined) await this.steering.hooks(after)
    if (hold !== undefined) await this.steering.hold(hold)
  }

  private async cutoverFate(): Promise<CutoverFate> {
    const { session } = this
    session.forward = false
    const outcome = await askDestination(session, this.input.patience)
    if (outcome === 'running' || outcome === 'stuck') session.state.committed = true
    return outcome
  }

  private async rollBack(started: readonly Phase[], failure: Failure | null): Promise<RunResult> {
    const { session } = this
    const cause = failure && (await rootCause(failure, session.state))
    session.forward = false
    this.steering.close()
    await this.runAsPhase('rollback', async () => {
      for (const phase of [...started].reverse()) await phase.undo(session)
      await rollback.run(session, this.steering)
    })
    const judged = judgeFailure(cause, {
      state: session.state,
      cancelAsked: session.cancelAsked,
      cancelCause: this.cause,
      touched: session.attempted('source', 'device'),
    })
    await this.steering.lastHooks('post-rollback', judged.outcome)
    return this.result(judged.outcome, judged.error)
  }

  private async finishForward(failure: Failure | null): Promise<RunResult> {
    const disagree = failure?.exit === EXIT.sidesDisagree
    const outcome = failure === null ? 'done' : disagree ? 'sides-disagree' : 'needs-person'
    await this.steering.lastHooks('post-commit', outcome)
    return this.result(outcome, failure?.body ?? null)
  }

  /** Runs `work` as a phase of the journal; what it throws is returned. */
  private async runAsPhase(name: PhaseName, work: () => Promise<void>): Promise<Failure | null> {
    const { events } = this.input
    this.session.phase = name
    const startUs = events.nowUs()
    events.emit({ type: 'phase-start', phase: name })
    let failure: Failure | null = null
    try {
      await work()
    } catch (thrown) {
      const exit = thrown instanceof FerryError ? thrown.exit : EXIT.error
      const side = thrown instanceof FerryError ? (thrown.side ?? null) : null
      failure = { phase: name, body: errorBodyOf(thrown), exit, side }
    }
    const outcome = failure === null ? 'ok' : failure.body.code === 'run/cancelled' ? 'cancelled' : 'failed'
    events.emit({ type: 'phase-end', phase: name, outcome, elapsedUs: events.nowUs() - startUs })
    return failure
  }

  private unknownError({ body }: Failure): HelperErrorBody {
    const { run } = this.input
    return {
      code: 'run/unknown',
      message:
        `run ${run}: the cutover ended without an answer, and the destination cannot be asked what became of it ` +
        `(${body.message})`,
      suggestion:
        `start nothing by hand: the source keeps its devices stopped, because both must never run at once. When the connection ` +
        `to both hosts is repaired, \`ferry recover ${run}\` finds out and finishes it`,
    }
  }

  private result(outcome: Outcome, error: HelperErrorBody | null): RunResult {
    const { problems } = this.session.state
    return { run: this.input.run, outcome, exit: OUTCOME_EXIT[outcome], error, problems }
  }

  private finish(result: RunResult): RunResult {
    const { events } = this.input
    this.over = true
    this.steering.close()
    events.emit({
      type: 'run-end',
      outcome: result.outcome,
      exit: result.exit,
      ...(result.error !== null && { error: result.error }),
      elapsedUs: events.nowUs(),
    })
    return result
  }
}

function noHost(): never {
  throw new Error('this run was given no hosts for hooks')
}
