import type { Connection, HelperEnd } from '../host/connection.js'
import { HelperRequestError } from './helper-error.js'
import { keepAlive } from './keepalive.js'
import { LineReader, type Line } from '../host/lines.js'
import { PendingReplies } from '../host/pending-replies.js'
import {
  diedError,
  noReplyError,
  strayBody,
  garbageBody,
  garbageError,
  needsNewerError,
  versionError,
} from './link-error.js'
import {
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  needsNewer,
  type HelloReply,
  type HelperErrorBody,
  type HelperEvent,
  type Op,
} from '../protocol/protocol.js'
import type { Requests, Role } from '../protocol/protocol.js'

/** What a client writes of each request (debug) and each event (trace): pino has it. */
export interface RequestLog {
  debug(facts: object, message: string): void
  trace(facts: object, message: string): void
  child(bindings: object): RequestLog
}
export interface ClientOptions {
  readonly side: Role
  readonly onEvent?: (event: HelperEvent) => void
  /** Things that are wrong but end nothing: an unreadable line while no request was waiting, a stray reply. */
  readonly onProblem?: (error: HelperErrorBody) => void
  readonly log?: RequestLog | undefined
}
export interface HelloOptions extends RequestOptions {
  /** From now on a line goes to the helper at least every third of this time; silence as long on either side is an end. */
  readonly keepaliveMs?: number
}
export interface RequestOptions {
  /** Stops waiting. The helper goes on, and its late reply is dropped: to stop the work itself, send `cancel`. */
  readonly signal?: AbortSignal
  /** Stops waiting after this many milliseconds, as `signal` does. */
  readonly timeoutMs?: number
}
/** Unpinning terabytes takes its time; a helper that is not through by then is stuck. */
const KILL_AFTER_MS = 30_000
/** How long the exit status of a helper is waited for whose stdin is broken; a dead one’s pipes are waited for, too. */
const EXIT_STATUS_MS = 5000
/** Requests that belong to no run. */
const UNBOUND: ReadonlySet<Op> = new Set(['hello', 'inventory', 'ping', 'route', 'record'])

/**
 * One helper, as `ferry` speaks to it. Many requests may be under way at once (`receive` lasts as long as the run).
 *
 * INVARIANTS
 * 1. Every request settles: by its reply, by the helper's end, by an unreadable line, or by the caller's signal.
 * 2. Nothing the helper writes throws out of the stream handlers: it becomes an error of a request or a problem.
 */
export class HelperClient {
  readonly side: Role
  readonly label: string
  private readonly connection: Connection
  private readonly options: ClientOptions
  private readonly pending = new PendingReplies<Op>()
  private readonly reader = new LineReader()
  private log: RequestLog | undefined
  private run: { readonly run: string; readonly epoch: number } | undefined
  private end: HelperEnd | undefined
  private greeting: HelloReply | undefined
  /** Why its end was assumed before anybody saw it. */
  private lost: HelperEnd['explanation'] | undefined
  private stopPings: () => void = () => undefined
  private stay: () => void = () => undefined
  private readonly stays = new Promise<void>((resolve) => (this.stay = resolve))
  /** Settles when the helper is gone and every request was answered or rejected. */
  readonly ended: Promise<HelperEnd>

  constructor(connection: Connection, options: ClientOptions) {
    this.connection = connection
    this.options = options
    this.side = options.side
    this.label = connection.label
    this.log = options.log?.child({ side: options.side })
    connection.stdout.on('data', (chunk: Buffer) => this.read(chunk))
    connection.stdout.on('error', () => undefined)
    connection.stdin.on('error', () => this.cannotWrite())
    this.ended = connection.ended.then((end) => {
      this.stopPings()
      this.end = { ...end, ...(this.lost && { explanation: this.lost }) }
      this.pending.rejectAll((op) => diedError(this, op, this.end ?? end))
      return this.end
    })
  }

  /** What the helper said of itself; throws before `hello`. */
  get helloReply(): HelloReply {
    if (this.greeting === undefined) throw new Error('hello() comes first')
    return this.greeting
  }

  /** False once the process is known to be gone. */
  get alive(): boolean {
    return this.end === undefined
  }

  /** Greets the helper, at the newest protocol version that both speak; a FerryError of exit 8 when there is none. */
  async hello({ keepaliveMs, ...options }: HelloOptions = {}): Promise<HelloReply> {
    const params = { ...(keepaliveMs !== undefined && { keepaliveMs }) }
    const reply = await this.greet(PROTOCOL_VERSION, params, options)
    if (reply.protocol < OLDEST_PROTOCOL_VERSION || reply.protocol > PROTOCOL_VERSION) {
      throw versionError(this, `it uses version ${reply.protocol} (ferry-helper ${reply.version})`)
    }
    this.greeting = reply
    if (keepaliveMs !== undefined) {
      this.stopPings()
      this.stopPings = keepAlive(this, keepaliveMs, () => this.lose(keepaliveMs))
    }
    return reply
  }

  private async greet(
    protocol: number,
    params: { readonly keepaliveMs?: number },
    options: RequestOptions,
  ): Promise<HelloReply> {
    try {
      return await this.request('hello', { protocol, ...params }, options)
    } catch (error) {
      // An older one may stumble over a key of ours before it looks at the version.
      const refused =
        error instanceof HelperRequestError && /^(?:hello\/protocol|request\/bad-params)$/u.test(error.code)
      if (!refused) throw error
      if (protocol > OLDEST_PROTOCOL_VERSION) return this.greet(protocol - 1, params, options)
      throw versionError(this, error.body.message, error)
    }
  }

  /** From now on every request carries this run and epoch. */
  bind(run: string, epoch: number): void {
    this.run = { run, epoch }
    this.log = this.options.log?.child({ run, side: this.side })
  }

  /** Sends one request. Rejects with a HelperRequestError for a helper's own error, or a FerryError of the link. */
  request<K extends Op>(
    op: K,
    params: Requests[K]['params'],
    options: RequestOptions = {},
  ): Promise<Requests[K]['reply']> {
    if (this.end !== undefined) return Promise.reject(diedError(this, op, this.end))
    const signal = waitSignal(options)
    if (signal?.aborted) return Promise.reject(noReplyError(this, op, signal))
    const spoken = this.greeting?.protocol ?? PROTOCOL_VERSION
    const newer = op === 'hello' ? undefined : needsNewer(spoken, op, params)
    if (newer !== undefined) return Promise.reject(needsNewerError(this, { spoken, ...newer }))
    const { id, reply } = this.pending.begin(op, signal, () => noReplyError(this, op, signal))
    const bound = UNBOUND.has(op) ? undefined : this.run
    // A stream that has ended says so here alone: it has no error any more.
    this.connection.stdin.write(
      `${JSON.stringify({ id, op, ...bound, params })}\n`,
      (error) => void (error && this.cannotWrite()),
    )
    this.noteRequest(id, op, reply)
    return reply
  }

  /** Parameters stay out of the log: some are secrets of a run. */
  private noteRequest(id: number, op: Op, reply: Promise<unknown>): void {
    const { log } = this
    if (log === undefined) return
    const began = performance.now()
    const ended = (more: object): void =>
      log.debug({ id, op, elapsedMs: Math.round(performance.now() - began), ...more }, 'reply')
    log.debug({ id, op }, 'request')
    reply.then(
      () => ended({}),
      (error: unknown) =>
        ended({ code: error instanceof Error && 'code' in error ? error.code : 'internal/bug' }),
    )
  }

  /** It says nothing any more: what waits is told so now, not when the system notices. */
  private lose(keepaliveMs: number): void {
    this.giveUpOn(`${this.label} has not answered for ${keepaliveMs} ms`)
    this.connection.kill('SIGKILL')
  }

  /**
   * EPIPE after the helper's death says less than its exit status, which `ended` brings. A helper that lives on and cannot
   * be written to will not answer; it is not killed, because it may be the one that has the workload.
   */
  private cannotWrite(): void {
    setTimeout(() => {
      if (this.end === undefined) this.giveUpOn(`nothing can be written to ${this.label} any more`)
    }, EXIT_STATUS_MS)
  }

  private giveUpOn(message: string): void {
    this.lost = {
      code: 'link/lost',
      message,
      suggestion:
        'check the network to it; a side that has not committed rolls back by itself when the connection is lost',
    }
    this.end = { exitCode: null, signal: null, stderr: [], explanation: this.lost }
    const end = this.end
    this.pending.rejectAll((op) => diedError(this, op, end))
  }

  /**
   * Ends the helper's stdin, which makes it undo what is not committed and exit; kills it if it does not. A helper that
   * has to stay says so: null then, and it is not waited for any more. (The end of its stdout would not do: a session
   * of ssh keeps it open as long as the process lives.)
   */
  async close(): Promise<HelperEnd | null> {
    this.stopPings()
    this.connection.stdin.end()
    const kill = setTimeout(() => this.connection.kill('SIGKILL'), KILL_AFTER_MS)
    try {
      const end = await Promise.race([this.ended, this.stays.then(() => null)])
      if (end === null) this.connection.unref()
      return end
    } finally {
      clearTimeout(kill)
    }
  }

  private read(chunk: Buffer): void {
    for (const line of this.reader.push(chunk)) this.line(line)
  }

  private line(line: Line): void {
    const message = line.kind === 'line' ? parseObject(line.text) : undefined
    if (message === undefined) return this.unreadable(line)
    if (message['event'] === 'settled') {
      if (message['stays'] === true) this.stay()
      return
    }
    if (typeof message['event'] === 'string') {
      this.log?.trace({ event: message }, 'event')
      this.options.onEvent?.(message as unknown as HelperEvent)
      return
    }
    const error = message['error'] as HelperErrorBody | undefined
    const broken =
      error !== undefined && (typeof error?.code !== 'string' || typeof error.message !== 'string')
    const isReply = 'ok' in message || error !== undefined
    if (!isReply || broken) return this.unreadable(line)
    if (message['id'] === null && error !== undefined) {
      // The helper could not read one of our lines, and does not know which.
      if (this.pending.size === 0) this.options.onProblem?.(error)
      return this.pending.rejectAll((op) => new HelperRequestError(error, { side: this.side, op }))
    }
    const id = message['id']
    const op = this.pending.about(id)
    if (op === undefined) {
      if (!this.pending.wasGiven(id)) this.options.onProblem?.(strayBody(this))
    } else if (error !== undefined) {
      this.pending.reject(id, new HelperRequestError(error, { side: this.side, op }))
    } else {
      this.pending.resolve(id, message['ok'])
    }
  }

  /**
   * The line may have been the reply of any request that waits, so all of them fail; the next line is readable
   * again, so later requests (`status`, `rollback`) still work.
   */
  private unreadable(line: Line): void {
    const what =
      line.kind === 'too-long'
        ? `a line over 1 MiB, beginning ${JSON.stringify(line.start)}`
        : `something that is not a message: ${JSON.stringify(line.text.slice(0, 120))}`
    const body = garbageBody(this, what)
    if (this.pending.size === 0) this.options.onProblem?.(body)
    this.pending.rejectAll(() => garbageError(this, body))
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function waitSignal({ signal, timeoutMs }: RequestOptions): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}
