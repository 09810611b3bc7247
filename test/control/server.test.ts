/** The socket of a run, with real sockets and a run made of a stream of events. */
import { mkdirSync, rmSync, statSync, writeFileSync, chmodSync, existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RunConnection } from '../../src/control/connection.js'
import { MAX_CONNECTIONS, MAX_REQUEST_BYTES } from '../../src/control/messages.js'
import { runSocket, runtimeFolder } from '../../src/control/runtime-folder.js'
import { serveRun } from '../../src/control/server.js'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import { StatusKeeper, type RunControl, type Served } from '../../src/run/control.js'
import type { Event, EventRecord } from '../../src/journal/event.js'
import { EventStream } from '../../src/journal/event-stream.js'
import type { CutoverAsk } from '../../src/run/hold-timer.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const RUN = '20261122T151733-4f2a'
const START: Event = {
  type: 'run-start',
  run: RUN,
  command: 'migrate',
  profile: 'p',
  file: 'p.yaml',
  version: '1',
  plan: {},
}
const END: Event = { type: 'run-end', outcome: 'done', exit: 0, elapsedUs: 1 }

interface Scene {
  readonly control: RunControl
  readonly events: EventStream
  readonly served: Served
  readonly asked: unknown[]
  open(): Promise<RunConnection>
}
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function scene(over: Partial<RunControl> = {}): Promise<Scene> {
  const events = new EventStream()
  const records: EventRecord[] = []
  const keeper = new StatusKeeper()
  const asked: unknown[] = []
  events.subscribe((record) => records.push(record))
  events.subscribe(keeper.take)
  const control: RunControl = {
    run: RUN,
    status: () => keeper.status,
    records: () => records,
    subscribe: (subscriber) => events.subscribe(subscriber),
    cancel: () => void asked.push('cancel'),
    set: async (key, value) => void asked.push([key, value]),
    cutover: async (ask: CutoverAsk) => {
      asked.push(ask)
      return { answer: 'accepted', forecast: null, expectedUs: 5, limitUs: 10 }
    },
    ...over,
  }
  const served = await serveRun(control, temporaryFolder())
  closing.push(() => served.close())
  events.emit(START)
  const open = async (): Promise<RunConnection> => {
    const connection = await RunConnection.connect(served.socket)
    if (connection === null) throw new Error('no one listens')
    closing.unshift(async () => connection.close())
    return connection
  }
  return { control, events, served, asked, open }
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof FerryError ? error.code : String(error)
  }
}

function raw(path: string): {
  readonly socket: Socket
  lines(count: number): Promise<string[]>
  readonly closed: Promise<void>
} {
  const socket = connect(path)
  let text = ''
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return {
    socket,
    closed,
    lines: async (count) => {
      while (text.split('\n').length <= count) await new Promise((resolve) => setTimeout(resolve, 5))
      return text.split('\n').slice(0, -1)
    },
  }
}

describe('the socket of a run', () => {
  it('is private to its user, and gone with the run', async () => {
    const { served } = await scene()
    expect(statSync(served.socket).mode & 0o777).toBe(0o600)
    expect(statSync(join(served.socket, '..')).mode & 0o777).toBe(0o700)
    await served.close()
    expect(existsSync(served.socket)).toBe(false)
    expect(await RunConnection.connect(served.socket)).toBeNull()
  })

  it('answers how the run stands, and hands on what is asked of it', async () => {
    const { asked, open } = await scene()
    const connection = await open()
    expect(await connection.request('status', {})).toMatchObject({ run: RUN, workload: 'p' })
    await connection.request('cancel', {})
    await connection.request('set', { key: 'streams', value: '2' })
    expect(await connection.request('cutover', { withinMs: 9 })).toMatchObject({
      answer: 'accepted',
      expectedUs: 5,
    })
    expect(asked).toEqual(['cancel', ['streams', '2'], { atMs: null, withinMs: 9 }])
  })

  it('gives the run’s own error with its exit code', async () => {
    const refuse = (): never => {
      throw new FerryError({
        code: 'cancel/too-late',
        exit: EXIT.unknown,
        message: 'late',
        suggestions: ['go'],
      })
    }
    const { open } = await scene({ cancel: refuse })
    const failed = await (await open()).request('cancel', {}).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'cancel/too-late', exit: 9, message: 'late', suggestions: ['go'] })
  })

  it('gives events from a number on, once each and in order, to the end', async () => {
    const { events, open } = await scene()
    for (let index = 0; index < 5; index++) events.emit({ type: 'cancel-asked' })
    const seen: number[] = []
    const connection = await open()
    const following = connection.request('events', { from: 3, follow: true }, ({ seq }) => seen.push(seq))
    expect(await connection.request('events', {})).toEqual({ last: 6 })
    events.emit({ type: 'cancel-asked' })
    events.emit(END)
    expect(await following).toEqual({ last: 8 })
    expect(seen).toEqual([3, 4, 5, 6, 7, 8])
  })

  it('never gives out the secret of the data connection', async () => {
    const { events, open } = await scene()
    const intent = { step: 1, phase: 'pin', side: 'source', op: 'listen', text: 't' } as const
    events.emit({ type: 'intent', ...intent, params: { secret: 'hush', port: 1 } })
    const seen: string[] = []
    await (await open()).request('events', {}, (record) => seen.push(JSON.stringify(record)))
    expect(seen.join('')).not.toContain('hush')
    expect(seen.join('')).toContain('"port":1')
  })

  it('waits for a condition, and says when the run ended without it', async () => {
    const { events, open } = await scene()
    const connection = await open()
    const held = connection.request('await', { condition: 'held' })
    const committed = connection.request('await', { condition: 'committed' })
    const ended = connection.request('await', { condition: 'ended' })
    events.emit({ type: 'hold', point: 'after-pin', state: 'held' })
    expect(await held).toMatchObject({ reached: true })
    events.emit({ type: 'run-end', outcome: 'cancelled', exit: 4, elapsedUs: 1 })
    expect(await committed).toMatchObject({ reached: false, status: { ended: { exit: 4 } } })
    expect(await ended).toMatchObject({ reached: true })
  })

  it('ends what still waits when the ferry of the run goes', async () => {
    const { open, served } = await scene()
    const waiting = (await open()).request('await', { condition: 'ended' })
    const gone = code(waiting)
    await served.close()
    expect(await gone).toBe('run/gone')
  })
})

describe('a client that misbehaves', () => {
  it('is told so, line by line, and the run goes on', async () => {
    const { asked, open, served } = await scene()
    const client = raw(served.socket)
    const bad = ['nonsense', '[]', 'null', '{"id":"x","op":"status"}', '{"id":1,"op":"no-such"}']
    bad.push(
      '{"id":2,"op":"set","params":{"key":"limit","value":1}}',
      '{"id":3,"op":"await","params":{"condition":"x"}}',
    )
    bad.push('{"id":4,"op":"cutover","params":{"atMs":-1}}', '{"id":5,"op":"status","params":7}')
    for (const line of bad) client.socket.write(`${line}\n`)
    const replies = (await client.lines(bad.length)).map((line) => JSON.parse(line))
    expect(replies.every(({ error }) => error.exit === 2)).toBe(true)
    client.socket.write(`${'x'.repeat(MAX_REQUEST_BYTES + 10)}\n{"id":9,"op":"status"}\n`)
    const all = (await client.lines(bad.length + 2)).map((line) => JSON.parse(line))
    expect(all.at(-1)).toMatchObject({ id: 9, ok: { run: RUN } })
    client.socket.destroy()
    expect(asked).toEqual([])
    expect(await (await open()).request('status', {})).toMatchObject({ run: RUN })
  })

  it('that opens too many connections is turned away, and the others are not', async () => {
    const { open, served } = await scene()
    const first = await open()
    const many = Array.from({ length: MAX_CONNECTIONS }, () => raw(served.socket))
    const refused = many.at(-1)
    expect(JSON.parse((await refused!.lines(1))[0] ?? '')).toMatchObject({ error: { code: 'control/busy' } })
    await refused!.closed
    expect(await first.request('status', {})).toMatchObject({ run: RUN })
    for (const { socket } of many) socket.destroy()
  })

  it('that does not read what it asked for is dropped', async () => {
    const { control, events, served } = await scene()
    const subscribe = vi.spyOn(control, 'subscribe')
    const client = raw(served.socket)
    client.socket.pause()
    client.socket.write('{"id":1,"op":"events","params":{"follow":true}}\n')
    await vi.waitFor(() => expect(subscribe).toHaveBeenCalled(), { interval: 5 })
    const message = 'x'.repeat(512 * 1024)
    for (let index = 0; index < 40; index++) {
      events.emit({ type: 'helper', side: 'source', event: { event: 'log', level: 'info', message } })
    }
    client.socket.resume()
    await client.closed
  })
})

describe('where the socket stands', () => {
  it('is the user’s runtime folder, for root /run/ferry, else the state folder', () => {
    expect(runtimeFolder('/s', { XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe('/run/user/7/ferry')
    expect(runtimeFolder('/s', {}, 0)).toBe('/run/ferry')
    expect(runtimeFolder('/s', { XDG_RUNTIME_DIR: 'relative' }, 7)).toBe('/s/run')
  })

  const control = { run: RUN } as RunControl
  it('must fit the kernel’s limit', async () => {
    const long = join(temporaryFolder(), 'x'.repeat(80))
    const failed = await serveRun(control, long).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'control/folder', exit: 1 })
    expect(String(failed)).toContain('107')
    expect(existsSync(long)).toBe(false)
  })

  it('must be a folder that can be made', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    expect(await code(serveRun(control, file))).toBe('control/folder')
  })

  it('is made private when it was not', async () => {
    const open = temporaryFolder()
    const runs = join(open, 'runs')
    mkdirSync(runs)
    chmodSync(runs, 0o777)
    const served = await serveRun({ ...control, subscribe: () => () => undefined } as RunControl, open)
    closing.push(() => served.close())
    expect(statSync(runs).mode & 0o777).toBe(0o700)
    expect(served.socket).toBe(runSocket(open, RUN))
  })

  it('is made again elsewhere when its folder goes, and those who are connected stay', async () => {
    const [first, later] = [temporaryFolder(), temporaryFolder()]
    const { control } = await scene()
    const served = await serveRun(control, first, later)
    closing.push(() => served.close())
    const connected = await RunConnection.connect(served.socket)
    closing.unshift(async () => connected?.close())
    rmSync(first, { recursive: true })
    await vi.waitFor(() => expect(existsSync(runSocket(later, RUN))).toBe(true), 10_000)
    expect(await connected?.request('status', {})).toMatchObject({ run: RUN })
    const another = await RunConnection.connect(runSocket(later, RUN))
    expect(await another?.request('status', {})).toMatchObject({ run: RUN })
    another?.close()
  })

  it('is not taken from another run', async () => {
    const { served } = await scene()
    expect(await code(serveRun(control, join(served.socket, '..', '..')))).toBe('control/socket')
  })
})
