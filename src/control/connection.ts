import { connect as open, type Socket } from 'node:net'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { toJson } from '../json.js'
import { LineReader, type Line } from '../host/lines.js'
import { PendingReplies } from '../host/pending-replies.js'
import type { EventRecord } from '../journal/event.js'
import { fromControlError, type ControlMessage, type ControlOp, type ControlRequests } from './messages.js'

/** Lines of a run's own answers: a run-start holds its plan. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

type OnEvent = (record: EventRecord) => void

/** No process listens there: no such socket, or one that a dead process left behind. */
const NOBODY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR'])

/** The client's end of a run's socket. Many requests may be under way at once; each settles. */
export class RunConnection {
  private readonly socket: Socket
  private readonly reader = new LineReader(MAX_ANSWER_BYTES)
  private readonly pending = new PendingReplies<OnEvent | undefined>()
  private gone: FerryError | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const line of this.reader.push(chunk)) this.line(line)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => this.end())
  }

  /** Null when no process listens at the socket. */
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
    onEvent?: OnEvent,
  ): Promise<ControlRequests[K]['reply']> {
    if (this.gone !== null) return Promise.reject(this.gone)
    const { id, reply } = this.pending.begin(onEvent)
    this.socket.write(`${toJson({ id, op, params })}\n`)
    return reply
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
      this.pending.rejectAll(() => error)
    } else if ('event' in message) {
      this.pending.about(message.id)?.(message.event)
    } else if ('error' in message) {
      this.pending.reject(message.id, fromControlError(message.error))
    } else {
      this.pending.resolve(message.id, message.ok)
    }
  }

  private end(): void {
    const gone = new FerryError({
      code: 'run/gone',
      exit: EXIT.unknown,
      message: 'the ferry that drives the run has ended',
    })
    this.gone = gone
    this.pending.rejectAll(() => gone)
  }
}
