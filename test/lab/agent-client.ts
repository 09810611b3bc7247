// The host's end of agent.mjs: commands in, results out, over the unix socket behind the guest's console port.
import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** An argv, or one string for bash. */
export type GuestCommand = string | readonly string[]

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The checkout, unless said otherwise. */
  readonly cwd?: string
  readonly stdin?: string | Uint8Array
  /** Ends the command's whole process group; 0 for no limit. */
  readonly timeoutMs?: number
  /** Bytes kept of each of stdout and stderr; 8 MiB unless said otherwise. */
  readonly maxOutput?: number
}

export interface StartOptions extends RunOptions {
  /** Leaves stdin open for `write`. */
  readonly keepStdin?: boolean
  /** Called as output comes; the result then holds none. */
  readonly onOutput?: (fd: 1 | 2, data: Buffer) => void
}

export interface RunResult {
  readonly exit: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  /** Stdout as it was, for what is not UTF-8. */
  readonly stdoutBytes: Buffer
  readonly timedOut: boolean
  readonly truncated: boolean
}

export interface GuestProcess {
  readonly pid: number
  wait(): Promise<RunResult>
  /** To the process alone, or with `group` to all it started; false if it had ended. */
  kill(signal: NodeJS.Signals, options?: { readonly group?: boolean }): Promise<boolean>
  write(data: string | Uint8Array): Promise<boolean>
  endInput(): Promise<boolean>
}

type Message =
  | { readonly event: 'ready' }
  | { readonly event: 'started'; readonly id: number; readonly pid: number }
  | { readonly event: 'done'; readonly id: number; readonly hit: boolean }
  | { readonly event: 'error'; readonly id: number; readonly message: string }
  | { readonly event: 'output'; readonly id: number; readonly fd: 1 | 2; readonly data: string }
  | ({ readonly event: 'exit'; readonly id: number } & Omit<RunResult, 'stdoutBytes'>)

type Listener = (message: Message | Error) => void

const DEFAULT_TIMEOUT_MS = 120_000

const base64 = (data: string | Uint8Array): string => Buffer.from(data as string).toString('base64')

async function open(socketPath: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    signal.throwIfAborted()
    const socket = connect(socketPath)
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (connected) return socket
    await delay(20, undefined, { signal })
  }
}

export class AgentClient {
  readonly #socket: Socket
  readonly #listeners = new Map<number, Listener>()
  readonly #whyGone: () => Error
  #nextId = 1
  #gone = false
  #pending = ''
  #onReady: (() => void) | undefined

  /** Waits for QEMU's socket, then for the agent behind it. `whyGone` words the error of a guest that left. */
  static async connect(socketPath: string, signal: AbortSignal, whyGone: () => Error): Promise<AgentClient> {
    const client = new AgentClient(await open(socketPath, signal), whyGone)
    try {
      await new Promise<void>((resolve, reject) => {
        client.#onReady = resolve
        const abort = (): void => reject(signal.reason as Error)
        if (signal.aborted) abort()
        signal.addEventListener('abort', abort, { once: true })
      })
    } catch (error) {
      client.hangUp()
      throw error
    }
    return client
  }

  private constructor(socket: Socket, whyGone: () => Error) {
    this.#socket = socket
    this.#whyGone = whyGone
    socket.setEncoding('utf8')
    socket.on('data', (text: unknown) => this.#read(String(text)))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#gone = true
      const listeners = [...this.#listeners.values()]
      this.#listeners.clear()
      for (const listener of listeners) listener(this.#whyGone())
    })
  }

  /** The agent ends when its host hangs up, and the guest with it. */
  hangUp(): void {
    this.#gone = true
    this.#socket.destroy()
  }

  async start(command: GuestCommand, options: StartOptions = {}): Promise<GuestProcess> {
    const { stdin, onOutput, env, cwd, maxOutput, keepStdin } = options
    let settle: { resolve: (result: RunResult) => void; reject: (error: Error) => void }
    const result = new Promise<RunResult>((resolve, reject) => (settle = { resolve, reject }))
    // A guest that leaves before anyone waits is no unhandled rejection.
    result.catch(() => {})
    const id = this.#nextId++
    const pid = await new Promise<number>((resolve, reject) => {
      this.#send(
        id,
        {
          op: 'start',
          ...(typeof command === 'string' ? { shell: command } : { argv: command }),
          ...{ env, cwd, maxOutput, keepStdin },
          stream: onOutput !== undefined,
          stdin: stdin === undefined ? undefined : base64(stdin),
          timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        },
        (message) => {
          if (message instanceof Error) return (reject(message), settle.reject(message))
          if (message.event === 'started') return resolve(message.pid)
          if (message.event === 'output') return onOutput?.(message.fd, Buffer.from(message.data, 'base64'))
          this.#listeners.delete(id)
          if (message.event === 'error') return reject(new Error(`guest: ${message.message}`))
          if (message.event === 'exit') settle.resolve(toResult(message))
        },
      )
    })
    const ask = (op: object): Promise<boolean> => this.#ask({ target: id, ...op })
    return {
      pid,
      wait: () => result,
      kill: (signal, how) => ask({ op: 'signal', signal, group: how?.group ?? false }),
      write: (data) => ask({ op: 'write', data: base64(data) }),
      endInput: () => ask({ op: 'write', end: true }),
    }
  }

  #ask(request: object): Promise<boolean> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#send(id, request, (message) => {
        this.#listeners.delete(id)
        if (message instanceof Error) reject(message)
        else if (message.event === 'done') resolve(message.hit)
        else
          reject(
            new Error(
              `guest: ${message.event === 'error' ? message.message : `unexpected ${message.event}`}`,
            ),
          )
      })
    })
  }

  #send(id: number, request: object, listener: Listener): void {
    if (this.#gone) return listener(this.#whyGone())
    this.#listeners.set(id, listener)
    this.#socket.write(JSON.stringify({ id, ...request }) + '\n')
  }

  #read(text: string): void {
    const lines = (this.#pending + text).split('\n')
    this.#pending = lines.pop() ?? ''
    for (const line of lines) {
      const message = JSON.parse(line) as Message
      if (message.event === 'ready') this.#onReady?.()
      else this.#listeners.get(message.id)?.(message)
    }
  }
}

function toResult(message: Extract<Message, { event: 'exit' }>): RunResult {
  const { exit, signal, timedOut, truncated } = message
  const stdoutBytes = Buffer.from(message.stdout, 'base64')
  const stderr = Buffer.from(message.stderr, 'base64').toString('utf8')
  return { exit, signal, timedOut, truncated, stdout: stdoutBytes.toString('utf8'), stderr, stdoutBytes }
}
