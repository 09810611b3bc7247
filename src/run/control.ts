/** A run as those see it who come to it from outside while it is under way. */
import type { EventRecord, Settable } from '../journal/event.js'
import type { Subscriber } from '../journal/event-stream.js'
import type { CutoverAnswer, CutoverAsk } from './hold-timer.js'
import { withRecord, BLANK, type RunStatus } from '../journal/status.js'

export interface RunControl {
  readonly run: string
  status(): RunStatus
  /** All so far but the many that only tell of progress. */
  records(): readonly EventRecord[]
  /** Returns what ends it. */
  subscribe(subscriber: Subscriber): () => void
  /** Throws a FerryError when it is too late. */
  cancel(): void
  set(key: Settable, value: string): Promise<void>
  cutover(asked: CutoverAsk): Promise<CutoverAnswer>
}
/** What serves a run to others. */
export interface Served {
  /** Where. */
  readonly socket: string
  close(): Promise<void>
}

/** Keeps the status of a run, event by event. */
export class StatusKeeper {
  status: RunStatus

  constructor(before: RunStatus = BLANK) {
    this.status = before
  }

  readonly take = (record: EventRecord): void => {
    this.status = withRecord(this.status, record)
  }
}
