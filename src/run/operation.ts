/** One run from its preparation to its last event: what `migrate`, `pin` and `dirty-log` have in common. */
import { FerryError } from '../errors.js'
import { factsOf } from '../link/helper-error.js'
import { EXIT } from '../exit-codes.js'
import type { HelperErrorBody, HelperEvent, Role } from '../protocol/protocol.js'
import type { Phase } from '../phases/index.js'
import type { Plan } from '../plan/plan.js'
import { StatusKeeper, type RunControl, type Served } from './control.js'
import type { EventRecord, PlanForecast } from '../journal/event.js'
import { EventStream, type Subscriber } from '../journal/event-stream.js'
import { Journal } from '../journal/journal.js'
import { blockedError, prepare, type Prepared, type PrepareOptions } from './prepare.js'
import { hookHosts } from './hook-hosts.js'
import { newRunId } from '../journal/run-id.js'
import { Runner, type RunnerInput, type RunResult } from './runner.js'
import { problemEvent } from './session.js'
import { onSignals } from './signals.js'
import { OUTCOME_CODE } from './outcome.js'
import { isProgress, RoundThinner } from '../journal/thin.js'

export interface OperationInput extends Omit<PrepareOptions, 'onEvent' | 'onProblem'> {
  readonly command: RunnerInput['command']
  readonly phases: readonly Phase[]
  readonly version: string
  /** A view of the run: told every event, stopped when the run is over. */
  readonly view: (nowUs: () => number) => { readonly take: Subscriber; stop(): void }
  /** Called when the first helper may be asked to change something. */
  readonly onStart?: (run: string) => void
  /** The id it was promised; absent: a fresh one. */
  readonly run?: string
  /** Makes the run one that can be asked and steered from outside while it is under way. */
  readonly serve?: (control: RunControl) => Promise<Served>
  /** What can be forecast before the run, for the report to compare with. */
  readonly expected?: (plan: Plan) => PlanForecast
}
export interface OperationResult extends RunResult {
  /** All that a report needs: every event but the many that only tell of progress. */
  readonly records: readonly EventRecord[]
  readonly journal: string
  readonly prepared: Prepared
  /** Set when the journal could not be written to the end. */
  readonly journalError: FerryError | undefined
}

/**
 * Prepares and runs. Throws only while nothing was changed: blocked (3), cancelled before the start (4),
 * helpers missing or of another version, no journal. After that every end is a result.
 */
export async function operate(input: OperationInput): Promise<OperationResult> {
  const stop = new Stop()
  const restore = onSignals(
    () => stop.first(),
    () => stop.second(),
  )
  // What helpers say while they are asked for their inventory is not of the run, and has no stream to go to.
  let stream: EventStream | undefined
  const say = (side: Role, event: HelperEvent): void => stream?.emit({ type: 'helper', side, event })
  const complain = (side: Role, error: HelperErrorBody): void => stream?.emit(problemEvent(side, error))
  try {
    const prepared = await stop.before(prepare({ ...input, onEvent: say, onProblem: complain }))
    try {
      if (prepared.plan.blockers.length > 0) throw blockedError(prepared.plan)
      return await runPhases(input, prepared, stop, (events) => {
        stream = events
      })
    } catch (error) {
      await prepared.close()
      throw error
    }
  } finally {
    restore()
  }
}

async function runPhases(
  input: OperationInput,
  prepared: Prepared,
  stop: Stop,
  onBegun: (events: EventStream) => void,
): Promise<OperationResult> {
  const run = input.run ?? newRunId()
  const journal = new Journal(input.stateDir, run)
  const events = new EventStream()
  const records: EventRecord[] = []
  const status = new StatusKeeper()
  events.subscribe(journal.append)
  const thinner = new RoundThinner()
  events.subscribe((record) => {
    if (thinner.keeps(record) && !isProgress(record)) records.push(record)
  })
  events.subscribe(status.take)
  bind(prepared, run)
  const expected = input.expected?.(prepared.plan)
  const runner = new Runner({
    ...prepared,
    run,
    command: input.command,
    phases: input.phases,
    version: input.version,
    events,
    journalError: () => journal.error,
    hostOf: hookHosts(prepared.profile),
    ...(expected !== undefined && { expected }),
  })
  let served: Served | undefined
  try {
    served = await input.serve?.(controlOf(run, runner, events, records, status))
  } catch (error) {
    journal.discard()
    throw error
  }
  const view = input.view(() => events.nowUs())
  events.subscribe(view.take)
  input.onStart?.(run)
  const running = runner.execute(served?.socket)
  onBegun(events)
  stop.follow(runner)
  const result = await running
  view.stop()
  journal.close()
  if (result.error?.code === 'run/detached') closeWithoutWaiting(prepared)
  else await prepared.close()
  await served?.close()
  return { ...result, records, journal: journal.path, prepared, journalError: journal.error }
}

export function controlOf(
  run: string,
  runner: Runner,
  events: EventStream,
  records: readonly EventRecord[],
  keeper: Pick<StatusKeeper, 'status'>,
): RunControl {
  return {
    run,
    status: () => keeper.status,
    records: () => records,
    subscribe: (subscriber) => events.subscribe(subscriber),
    cancel: () => {
      if (runner.committed) throw tooLateError(run)
      runner.cancel()
    },
    set: (key, value) => runner.set(key, value),
    // Made a rejection of a throw, for those who ask over a socket.
    cutover: async (asked) => runner.cutover(asked),
  }
}

function tooLateError(run: string): FerryError {
  return new FerryError({
    code: 'cancel/too-late',
    exit: EXIT.error,
    message: `run ${run} is committed: the destination runs, or will, and the run cannot be cancelled any more`,
    suggestions: [`\`ferry status ${run}\` shows how it stands`],
  })
}

/** A run that did not end well, as the error of its command; `result` is what the command returns of it. */
export function runError(ended: OperationResult, result: unknown): FerryError {
  const { exit, outcome, run } = ended
  const error = ended.error ?? { code: OUTCOME_CODE[outcome], message: `the run ended ${outcome}` }
  const { suggestions, ...facts } = factsOf(error)
  return new FerryError({
    ...facts,
    exit,
    message: error.message,
    suggestions: [...suggestions, `run ${run}: \`ferry report ${run}\` shows all of it`],
    result,
  })
}

function bind(prepared: Prepared, run: string): void {
  prepared.source.bind(run, 1)
  prepared.destination?.bind(run, 1)
}

/** Ends the helpers' stdin without waiting for what they do about it. */
function closeWithoutWaiting(prepared: Prepared): void {
  void prepared.close()
}

/** What a first and a second Ctrl-C mean before the run, and hands on during it. */
class Stop {
  private runner: Runner | undefined
  private asked = false
  private reject: (error: FerryError) => void = () => undefined

  first(): void {
    this.asked = true
    if (this.runner !== undefined) this.runner.cancel()
    else this.reject(notStartedError())
  }

  second(): void {
    this.runner?.detach()
  }

  follow(runner: Runner): void {
    this.runner = runner
    if (this.asked) runner.cancel()
  }

  /** The promise, unless a cancel is asked first; the helpers it may have opened end with ferry's own end. */
  before<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.reject = reject
      promise.then(resolve, reject)
    })
  }
}

function notStartedError(): FerryError {
  return new FerryError({
    code: 'run/cancelled',
    exit: EXIT.cancelled,
    message: 'cancelled before anything was changed: the source runs as it did',
  })
}
