/** What the phases work with: requests journaled before and after, steps remembered so they can be taken back. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody, Op, Requests, Role } from '../protocol/protocol.js'
import type { Call, Helper, RunSession, RunState, Settled } from '../phases/phase.js'
import type { PhaseName, Plan, UndoStep } from '../plan/plan.js'
import { JournaledRequests } from './requests.js'
import type { LeftAt } from './left-at.js'
import type { Profile } from '../profile/profile.js'
import type { EventStream } from '../journal/event-stream.js'

export interface SessionInput {
  readonly run: string
  readonly profile: Profile
  readonly plan: Plan
  readonly source: Helper
  readonly destination: Helper | null
  readonly events: EventStream
  /** The journal's first failed write, if any. */
  readonly journalError: () => FerryError | undefined
  /** Where another ferry left the run that this one goes on with. */
  readonly left?: LeftAt
}

interface Done {
  readonly phase: PhaseName
  readonly side: Role
  readonly undo: UndoStep
  readonly text: string
}

export class Session implements RunSession {
  readonly run: string
  readonly profile: Profile
  readonly plan: Plan
  readonly source: Helper
  readonly destination: Helper | null
  readonly events: EventStream
  readonly state: RunState = {
    receive: null,
    precopy: null,
    cutover: null,
    committed: false,
    outcomeUnknown: false,
    peerDiscarded: false,
    needsPerson: [],
    problems: [],
  }
  /** The phase whose steps are being carried out. */
  phase: PhaseName = 'pin'
  /** Forward work stops at a cancel or a lost journal; putting back and committing go on. */
  forward = true
  private readonly input: SessionInput
  private readonly done: Done[] = []
  private readonly requests: JournaledRequests
  readonly cancelled = new AbortController()
  readonly detached = new AbortController()
  /** Aborted by a cancel, and when ferry stops waiting. */
  readonly stopped = AbortSignal.any([this.cancelled.signal, this.detached.signal])

  constructor(input: SessionInput) {
    this.input = input
    this.run = input.run
    this.profile = input.profile
    this.plan = input.plan
    this.source = input.source
    this.destination = input.destination
    this.events = input.events
    const { left } = input
    if (left !== undefined) this.done.push(...doneBefore(input.plan, left))
    this.requests = new JournaledRequests({
      ...(left !== undefined && { after: left.steps, sent: left.sent }),
      events: input.events,
      sides: input,
      mayBegin: () => this.mayBegin(),
      signal: this.detached.signal,
    })
  }

  get cancelAsked(): boolean {
    return this.cancelled.signal.aborted
  }

  cancel(): void {
    this.cancelled.abort()
  }

  /** Nothing is waited for or sent any more. */
  detach(): void {
    this.detached.abort()
  }

  attempted(side: Role, op: Op): boolean {
    return this.requests.attempted(side, op)
  }

  // Arrow functions: phases take them out of the session by destructuring.
  readonly step = async <K extends Op>(call: Call<K>): Promise<Requests[K]['reply']> => {
    this.mayBegin()
    const reply = await this.requests.send(call, this.phase)
    if (call.undo !== undefined) {
      this.done.push({ phase: this.phase, side: call.side, undo: call.undo, text: call.text })
    }
    return reply
  }

  readonly background = <K extends Op>(call: Call<K>): Promise<Settled<Requests[K]['reply']>> => {
    this.mayBegin()
    return this.requests.send(call, this.phase).then(
      (reply) => ({ ok: true, reply }),
      (error: unknown) => ({ ok: false, error: errorBodyOf(error) }),
    )
  }

  readonly undoSteps = async (phase: PhaseName): Promise<void> => {
    for (let index = this.done.length - 1; index >= 0; index--) {
      const step = this.done[index]
      if (step?.phase !== phase) continue
      this.done.splice(index, 1)
      // The rollback phase closes the devices last of all, after it has checked that they run.
      if (step.undo.op === 'release') continue
      if (this.helper(step.side)?.alive !== true) continue
      try {
        await this.step({ side: step.side, ...step.undo, text: `undo: ${step.text}` } as Call<Op>)
      } catch (error) {
        this.state.problems.push(errorBodyOf(error))
      }
    }
  }

  readonly pause = (ms: number): Promise<void> => {
    const signal = this.forward ? this.cancelled.signal : this.detached.signal
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, ms)
      signal.addEventListener('abort', finish, { once: true })
    })
  }

  private mayBegin(): void {
    if (this.detached.signal.aborted) throw detachedError()
    if (!this.forward) return
    if (this.cancelAsked) throw cancelledError()
    const lost = this.input.journalError()
    if (lost !== undefined) throw lost
  }

  private helper(side: Role): Helper | null {
    return side === 'source' ? this.source : this.destination
  }
}

/** The planned steps that the other ferry had carried out, in their order. */
function doneBefore(plan: Plan, { tracking }: LeftAt): readonly Done[] {
  return plan.steps.flatMap(({ phase, side, text, undo }, index) => {
    const planned = plan.steps.slice(0, index).filter((step) => step.phase === phase).length
    const carriedOut = phase === 'pin' || planned < tracking
    return undo === undefined || !carriedOut ? [] : [{ phase, side, undo, text }]
  })
}

function cancelledError(): FerryError {
  return new FerryError({ code: 'run/cancelled', exit: EXIT.cancelled, message: 'cancelled by the operator' })
}

function detachedError(): FerryError {
  return new FerryError({
    code: 'run/detached',
    exit: EXIT.unknown,
    message: 'ferry has detached from this run',
  })
}

/** The warning of a helper's own stream, as an event of the run. */
export function problemEvent(side: Role, body: HelperErrorBody): Parameters<EventStream['emit']>[0] {
  return {
    type: 'helper',
    side,
    event: { event: 'log', level: 'warn', message: `[${body.code}] ${body.message}` },
  }
}
