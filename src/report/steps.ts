import type { HelperErrorBody, Role } from '../protocol/protocol.js'
import type { PhaseName } from '../plan/plan.js'
import type { EventRecord } from '../journal/event.js'

/** An intent with what came of it. */
export interface StepRecord<Reply = unknown> {
  readonly phase: PhaseName
  readonly side: Role
  readonly op: string
  readonly text: string
  readonly params: unknown
  /** When it was answered, in microseconds since the run began. */
  readonly answeredAtUs: number | null
  readonly elapsedUs: number
  readonly reply: Reply | undefined
  readonly error: HelperErrorBody | undefined
}

/** Intents and outcomes of a journal, joined by step number. */
export class Steps {
  private readonly all: readonly StepRecord[]

  constructor(records: readonly EventRecord[]) {
    const outcomes = new Map<number, EventRecord>()
    for (const record of records) if (record.body.type === 'outcome') outcomes.set(record.body.step, record)
    this.all = records.flatMap(({ body }): StepRecord[] => {
      if (body.type !== 'intent') return []
      const { op, params, phase, side, text } = body
      const record = outcomes.get(body.step)
      const outcome = record?.body.type === 'outcome' ? record.body : undefined
      return [
        {
          phase,
          side,
          op,
          text,
          params,
          answeredAtUs: record?.atUs ?? null,
          elapsedUs: outcome?.elapsedUs ?? 0,
          reply: outcome?.ok ? outcome.reply : undefined,
          error: outcome?.ok === false ? outcome.error : undefined,
        },
      ]
    })
  }

  /** Answered steps of one op, in order; the reply's type is the op's own by protocol.ts. */
  answered<Reply>(op: string): readonly (StepRecord<Reply> & { readonly reply: Reply })[] {
    return this.all.filter(
      (step): step is StepRecord<Reply> & { readonly reply: Reply } =>
        step.op === op && step.reply !== undefined,
    )
  }

  last<Reply>(op: string): StepRecord<Reply> | undefined {
    return this.all.findLast((step) => step.op === op) as StepRecord<Reply> | undefined
  }

  failed(): readonly (StepRecord & { readonly error: HelperErrorBody })[] {
    return this.all.filter(
      (step): step is StepRecord & { readonly error: HelperErrorBody } => step.error !== undefined,
    )
  }

  unfinished(): readonly StepRecord[] {
    return this.all.filter((step) => step.answeredAtUs === null)
  }
}
