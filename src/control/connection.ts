import { connect as open, type Socket } from 'node:net'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { toJson } from '../json.js'
import { LineReader, type Line } from '../host/lines.js'
import type { EventRecord } from '../journal/event.js'
import { fromControlError, type ControlMessage, type ControlOp, type ControlRequests } from './messages.js'

/** Lines of a run's own answers: a run-start holds its plan. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

interface Pending {
  readonly resolve: (ok: never) => void
  readonly reject: (error: Error) => void
  readonly onEvent: ((record: EventRecord) => void) | undefined
}

/** Nobody listens there: no such socket, or one that a dead process left behind. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR'])

/** The client's end of a run's socket. Many requests may be under way at once; each settles. */
export class RunConnection {
  private readonly socket: Socket
  private readonly reader = new LineReader(MAX_ANSWER_BYTES)
  private readonly pending = new Map<number, Pending>()
  private nextId = 1
  private gone: FerryError | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const line of this.reader.push(chunk)) this.line(line)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => this.end())
  }

  /** Null when nobody listens at the socket. */
  static connect(path: string): Promise<RunConnection | null> {
    return new Promise((resolve, reject) => {
      const socket = open(path)
      const failed = (error: NodeJS.ErrnoException): void => {
        if (NOBODY.has(error.code ?? '')) return resolve(null)
        reject(
          fromSystemError(error, {
            code: 'control/connect',
            exit: EXIT.error,
            message: `the run's socket ${path} cannot be opened`,
            suggestions: ['only the user who started a run, and root, can ask it'],
          }),
        )
      }
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        resolve(new RunConnection(socket))
      })
    })
  }

  /** Rejects with the run's own FerryError, or with `run/gone` when the connection ends first. */
  request<K extends ControlOp>(
    op: K,
    params: ControlRequests[K]['params'],
    onEvent?: (record: EventRecord) => void,
  ): Promise<ControlRequests[K]['reply']> {
    if (this.gone !== null) return Promise.reject(this.gone)
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject, onEvent })
      this.socket.write(`${toJson({ id, op, params })}\n`)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private line(line: Line): void {
    let message: ControlMessage
    try {
      message = JSON.parse(line.kind === 'line' ? line.text : line.start) as ControlMessage
    } catch {
      this.socket.destroy()
      return
    }
    if (message.id === null) {
      const error = fromControlError(message.error)
      for (const { reject } of this.pending.values()) reject(error)
      this.pending.clear()
      return
    }
    const pending = this.pending.get(message.id)
    if (pending === undefined) return
    if ('event' in message) {
      pending.onEvent?.(message.event)
      return
    }
    this.pending.delete(message.id)
    if ('error' in message) pending.reject(fromControlError(message.error))
    else pending.resolve(message.ok as never)
  }

  private end(): void {
    this.gone = new FerryError({
      code: 'run/gone',
      exit: EXIT.unknown,
      message: 'the ferry that drives the run is gone',
    })
    for (const { reject } of this.pending.values()) reject(this.gone)
    this.pending.clear()
  }
}
