/** The socket of a run that is under way: a user who may open it may ask how the run stands, and steer it. */
import { chmodSync, existsSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { fromSystemError, usageError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { toJson } from '../json.js'
import { LineReader, type Line } from '../host/lines.js'
import type { RunControl, Served } from '../run/control.js'
import type { EventRecord } from '../journal/event.js'
import { SETTABLE } from '../run/settings.js'
import { withoutSecrets } from '../journal/journal.js'
import { isProgress } from '../journal/thin.js'
import { CONDITIONS, conditionMet } from '../journal/status.js'
import {
  MAX_CONNECTIONS,
  MAX_REQUEST_BYTES,
  toControlError,
  type ControlMessage,
  type ControlOp,
} from './messages.js'
import { prepareRuns } from './runtime-folder.js'

/** A listener that does not read what it asked for is dropped when this much waits for it. */
const MOST_UNREAD_BYTES = 8 * 1024 * 1024
/** How long those who still read are given when the run is over. */
const GOODBYE_MS = 2000

/** How often a socket is looked for that may have gone with its folder. */
const LOOK_MS = 1000

/**
 * Serves a run until `close`. Throws a FerryError when the socket cannot be made.
 *
 * A runtime folder goes when its user has logged out everywhere (systemd-logind), and a detached run goes on: it is
 * served from `later` then. Connections there are stay.
 *
 * INVARIANT: nothing a client sends, or does not read, can end or stop the run, but the requests that are there for it.
 */
export async function serveRun(control: RunControl, folder: string, later = folder): Promise<Served> {
  const connections = new Set<Socket>()
  const take = (connection: Socket): void => {
    connection.on('error', () => connection.destroy())
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
    if (connections.size > MAX_CONNECTIONS) {
      const error = { code: 'control/busy', exit: EXIT.error, suggestions: [] }
      connection.end(`${toJson({ id: null, error: { ...error, message: 'too many connections' } })}\n`)
      return
    }
    new Conversation(connection, control)
  }
  const open = async (at: string): Promise<Listening> => {
    const socket = prepareRuns(at, control.run)
    const server = createServer(take)
    await listen(server, socket)
    server.on('error', () => undefined)
    return { server, socket }
  }
  const first = await open(folder)
  let last = first
  let moving: Promise<void> | null = null
  const look = (): void => {
    if (moving !== null || existsSync(last.socket)) return
    // Closing a server removes its path, which may be another's by then.
    last.server.close()
    moving = open(later).then(
      (opened) => void (last = opened),
      // Where it cannot be, it may be able to be later: the run is what matters.
      () => undefined,
    )
    void moving.then(() => (moving = null))
  }
  const timer = setInterval(look, LOOK_MS).unref()
  return {
    socket: first.socket,
    close: async () => {
      clearInterval(timer)
      await moving
      await goodbye(last.server, connections, last.socket)
    },
  }
}

interface Listening {
  readonly server: Server
  readonly socket: string
}

async function listen(server: Server, socket: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socket, () => {
        server.off('error', reject)
        resolve()
      })
    })
    // The folder is private already; this is the second lock.
    chmodSync(socket, 0o600)
  } catch (error) {
    server.close()
    throw fromSystemError(error, {
      code: 'control/socket',
      exit: EXIT.error,
      message: `the run's socket ${socket} cannot be made; nothing was started`,
      suggestions: ['set XDG_RUNTIME_DIR to a folder you may write to'],
    })
  }
}

/** Those who follow the run get its last words. */
async function goodbye(server: Server, connections: ReadonlySet<Socket>, socket: string): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // What was just decided is still on its way to those who asked.
  await new Promise((resolve) => setImmediate(resolve))
  for (const connection of connections) connection.end()
  const timer = setTimeout(() => {
    for (const connection of connections) connection.destroy()
  }, GOODBYE_MS)
  await closed
  clearTimeout(timer)
  try {
    unlinkSync(socket)
  } catch {
    // Closing a server has removed it.
  }
}

type Params = Readonly<Record<string, unknown>>

class Conversation {
  private readonly connection: Socket
  private readonly control: RunControl
  private readonly reader = new LineReader(MAX_REQUEST_BYTES)
  private readonly ends: (() => void)[] = []

  constructor(connection: Socket, control: RunControl) {
    this.connection = connection
    this.control = control
    connection.on('data', (chunk: Buffer) => {
      for (const line of this.reader.push(chunk)) this.line(line)
    })
    connection.on('close', () => {
      for (const end of this.ends) end()
    })
  }

  private line(line: Line): void {
    const request = line.kind === 'line' ? parse(line.text) : null
    if (request === null) {
      const error = usageError('request', 'this line is not a request')
      this.write({ id: null, error: toControlError(error) })
      return
    }
    const { id, op, params } = request
    void this.answer(id, op, params).then(
      (ok) => this.write({ id, ok }),
      (error: unknown) => this.write({ id, error: toControlError(error) }),
    )
  }

  private async answer(id: number, op: string, params: Params): Promise<unknown> {
    const { control } = this
    switch (op as ControlOp) {
      case 'status':
        return control.status()
      case 'events':
        return this.events(id, params)
      case 'await':
        return this.until(params)
      case 'cancel':
        control.cancel()
        return {}
      case 'set': {
        const key = SETTABLE.find((name) => name === params['key'])
        const value = params['value']
        if (key === undefined || typeof value !== 'string') {
          throw usageError('set', `one of ${SETTABLE.join(', ')} can be set`)
        }
        await control.set(key, value)
        return {}
      }
      case 'cutover':
        return control.cutover({ atMs: moment(params, 'atMs'), withinMs: moment(params, 'withinMs') })
      default:
        throw usageError(
          'op',
          `a run knows no request ${op}`,
          'ferry and the run may be of different versions',
        )
    }
  }

  private events(id: number, params: Params): Promise<{ last: number }> | { last: number } {
    const { control } = this
    const from = moment(params, 'from') ?? 1
    let last = 0
    const deliver = (record: EventRecord): void => {
      if (record.seq < from || record.seq <= last) return
      last = record.seq
      this.write({ id, event: withoutSecrets(record) })
    }
    for (const record of control.records()) deliver(record)
    if (params['follow'] !== true || control.status().ended !== null) return { last }
    return new Promise((resolve) => {
      const end = control.subscribe((record) => {
        if (params['progress'] === true || !isProgress(record)) deliver(record)
        if (record.body.type !== 'run-end') return
        end()
        resolve({ last })
      })
      this.ends.push(end)
    })
  }

  private until(params: Params): Promise<unknown> | unknown {
    const { control } = this
    const condition = CONDITIONS.find((name) => name === params['condition'])
    if (condition === undefined)
      throw usageError('condition', `one of ${CONDITIONS.join(', ')} can be waited for`)
    const decided = (): { readonly reached: boolean; readonly status: unknown } | null => {
      const status = control.status()
      const reached = conditionMet(status, condition)
      return reached || status.ended !== null ? { reached, status } : null
    }
    const now = decided()
    if (now !== null) return now
    return new Promise((resolve) => {
      const end = control.subscribe(() => {
        const then = decided()
        if (then === null) return
        end()
        resolve(then)
      })
      this.ends.push(end)
    })
  }

  private write(message: ControlMessage): void {
    const { connection } = this
    if (connection.destroyed || connection.writableEnded) return
    connection.write(`${toJson(message)}\n`)
    if (connection.writableLength > MOST_UNREAD_BYTES) connection.destroy()
  }
}

function moment(params: Params, name: string): number | null {
  const value = params[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw usageError('params', `${name} is not a whole number`)
  }
  return value
}

function parse(text: string): { readonly id: number; readonly op: string; readonly params: Params } | null {
  try {
    const { id, op, params = {} } = JSON.parse(text) as Params
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || typeof op !== 'string') return null
    if (typeof params !== 'object' || params === null) return null
    return { id, op, params: params as Params }
  } catch {
    return null
  }
}
