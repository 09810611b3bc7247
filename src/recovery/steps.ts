import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { Op, Requests, Role } from '../protocol/protocol.js'
import type { Call } from '../phases/phase.js'
import type { EventStream } from '../journal/event-stream.js'
import type { Client } from './sides.js'

/** Requests of a recovery: journaled before and after, as a run's are. */
export class RecoverySteps {
  private readonly events: EventStream
  private readonly sides: Readonly<Record<Role, Client | null>>
  private steps: number

  /** Steps are numbered on from those of the journal, `after`. */
  constructor(
    events: EventStream,
    { after, sides }: { readonly sides: Readonly<Record<Role, Client | null>>; readonly after: number },
  ) {
    this.events = events
    this.sides = sides
    this.steps = after
  }

  readonly step = async <K extends Op>({
    op,
    params,
    side,
    text,
  }: Call<K>): Promise<Requests[K]['reply']> => {
    const { events } = this
    const step = ++this.steps
    const startUs = events.nowUs()
    events.emit({ type: 'intent', step, phase: 'rollback', side, op, text, params })
    const client = this.sides[side]
    try {
      if (client === null) {
        throw new FerryError({
          code: 'link/unreachable',
          exit: EXIT.unknown,
          message: `the ${side} is out of reach`,
        })
      }
      const reply = await client.request(op, params)
      events.emit({ type: 'outcome', step, ok: true, elapsedUs: events.nowUs() - startUs, reply })
      return reply
    } catch (error) {
      events.emit({
        type: 'outcome',
        step,
        ok: false,
        elapsedUs: events.nowUs() - startUs,
        error: errorBodyOf(error),
      })
      throw error
    }
  }
}
