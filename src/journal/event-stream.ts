import { performance } from 'node:perf_hooks'
import type { Event, EventRecord } from './event.js'

export type Subscriber = (record: EventRecord) => void
export interface Clock {
  /** Wall time, milliseconds since the epoch. */
  readonly wallMs: () => number
  /** Monotonic, milliseconds. */
  readonly monotonicMs: () => number
}
const SYSTEM_CLOCK: Clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }

/**
 * The one stream of a run: numbers and stamps each event and hands it to the subscribers in the order they came,
 * the journal first. Synchronous, so that an intent is on disk before the request it announces is sent.
 */
export class EventStream {
  private readonly subscribers: Subscriber[] = []
  private readonly clock: Clock
  private readonly startMs: number
  private seq: number
  private closed = false

  /** `after`: the last record of a journal that is taken up again; numbers and times go on from there. */
  constructor(clock: Clock = SYSTEM_CLOCK, after?: Pick<EventRecord, 'seq' | 'atUs'>) {
    this.clock = clock
    this.seq = after?.seq ?? 0
    this.startMs = clock.monotonicMs() - (after?.atUs ?? 0) / 1000
  }

  /** Returns what ends it. */
  subscribe(subscriber: Subscriber): () => void {
    this.subscribers.push(subscriber)
    return () => {
      const at = this.subscribers.indexOf(subscriber)
      if (at >= 0) this.subscribers.splice(at, 1)
    }
  }

  /** Microseconds since the run began. */
  nowUs(): number {
    return Math.round((this.clock.monotonicMs() - this.startMs) * 1000)
  }

  /** After `run-end` nothing is said any more: a journal ends with it. */
  emit(body: Event): void {
    if (this.closed) return
    if (body.type === 'run-end') this.closed = true
    const record: EventRecord = {
      seq: ++this.seq,
      time: new Date(this.clock.wallMs()).toISOString(),
      atUs: this.nowUs(),
      body,
    }
    for (const subscriber of [...this.subscribers]) subscriber(record)
  }
}
