import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { EventStream } from '../journal/event-stream.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { Call, Helper } from '../phases/phase.js'
import type { PhaseName } from '../plan/plan.js'
import type { Op, Requests, Role } from '../protocol/protocol.js'

interface RequestsInput {
  readonly events: EventStream
  /** Null: a side that this run does not have, or that is out of reach. */
  readonly sides: Readonly<Record<Role, Pick<Helper, 'request'> | null>>
  /** The last step in the journal: these are numbered on from it. */
  readonly after?: number
  /** What was sent before, as `attempted` has it. */
  readonly sent?: ReadonlySet<string>
  /** Throws when nothing may be sent any more. Asked behind the intent, which may be what found the disk full. */
  readonly mayBegin?: () => void
  /** Stops waiting for replies. */
  readonly signal?: AbortSignal
}

/** Requests of a run or of its recovery: each is in the journal before it is sent, and again when its reply came. */
export class JournaledRequests {
  private readonly input: RequestsInput
  private readonly sent: Set<string>
  private steps: number

  constructor(input: RequestsInput) {
    this.input = input
    this.steps = input.after ?? 0
    this.sent = new Set(input.sent)
  }

  /** Whether a request of this op was ever sent to this side, whatever came of it. */
  attempted(side: Role, op: Op): boolean {
    return this.sent.has(`${side} ${op}`)
  }

  /** The intent is in the journal when this returns; rejects with what the request was rejected with. */
  async send<K extends Op>(call: Call<K>, phase: PhaseName | 'rollback'): Promise<Requests[K]['reply']> {
    const { events, mayBegin, sides, signal } = this.input
    const { op, params, side, text } = call
    const step = ++this.steps
    const startUs = events.nowUs()
    events.emit({ type: 'intent', step, phase, side, op, text, params })
    mayBegin?.()
    this.sent.add(`${side} ${op}`)
    try {
      const helper = sides[side]
      if (helper === null) throw outOfReachError(side)
      const reply = await helper.request(op, params, signal === undefined ? {} : { signal })
      events.emit({ type: 'outcome', step, ok: true, elapsedUs: events.nowUs() - startUs, reply })
      return reply
    } catch (error) {
      const elapsedUs = events.nowUs() - startUs
      events.emit({ type: 'outcome', step, ok: false, elapsedUs, error: errorBodyOf(error) })
      throw error
    }
  }
}

function outOfReachError(side: Role): FerryError {
  return new FerryError({
    code: 'link/unreachable',
    exit: EXIT.unknown,
    message: `the ${side} is out of reach`,
  })
}
