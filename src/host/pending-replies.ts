/** Requests of one NDJSON connection that wait for their replies, for a helper's client and for a run's. */

interface Pending<About> {
  readonly about: About
  readonly resolve: (ok: never) => void
  readonly reject: (error: Error) => void
}

/**
 * INVARIANTS
 * 1. An id is given once, counting from 1; a reply goes to the request of its id and to no other.
 * 2. A request settles once: by its reply, by `rejectAll`, or by its caller's signal.
 *
 * `About` is what the owner keeps of a request: its name, who hears of its events.
 */
export class PendingReplies<About> {
  private readonly pending = new Map<number, Pending<About>>()
  private nextId = 1

  /** How many requests wait. */
  get size(): number {
    return this.pending.size
  }

  /** A new request. `signal` stops the waiting, with the error that `onAbort` makes; a late reply is then dropped. */
  begin(
    about: About,
    signal?: AbortSignal,
    onAbort?: () => Error,
  ): { readonly id: number; readonly reply: Promise<never> } {
    const id = this.nextId++
    const reply = new Promise<never>((resolve, reject) => {
      const abort = (): void => {
        if (this.pending.delete(id)) reject(onAbort?.() ?? new Error('aborted'))
      }
      signal?.addEventListener('abort', abort, { once: true })
      const settle = (): void => signal?.removeEventListener('abort', abort)
      this.pending.set(id, {
        about,
        resolve: (ok) => (settle(), resolve(ok)),
        reject: (error) => (settle(), reject(error)),
      })
    })
    return { id, reply }
  }

  /** What the request of this id is about; undefined when none of that id waits. */
  about(id: unknown): About | undefined {
    return this.pending.get(id as number)?.about
  }

  /** Whether a request ever had this id: its reply may come after its caller stopped waiting. */
  wasGiven(id: unknown): boolean {
    return typeof id === 'number' && Number.isInteger(id) && id > 0 && id < this.nextId
  }

  resolve(id: unknown, ok: unknown): void {
    this.take(id)?.resolve(ok as never)
  }

  reject(id: unknown, error: Error): void {
    this.take(id)?.reject(error)
  }

  rejectAll(error: (about: About) => Error): void {
    const waiting = [...this.pending.values()]
    this.pending.clear()
    for (const { about, reject } of waiting) reject(error(about))
  }

  private take(id: unknown): Pending<About> | undefined {
    const found = this.pending.get(id as number)
    this.pending.delete(id as number)
    return found
  }
}
