/**
 * A host on which ferry runs something: this one, or one that ssh reaches. The helper, the copying of it, hooks and
 * `ferry doctor` all go through it, and on another host they share one connection.
 */
import { DEFAULT_KEEPALIVE_MS } from '../limits.js'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { HostSpec } from '../profile/profile.js'
import type { Connection } from './connection.js'
import { runProcess, startProcess, type Explain, type RunOptions, type RunResult } from './process.js'
import { shellLine, wrapped } from './shell.js'
import { explainSsh, explainSudo, isSshFailure, sshArguments, sshProgram, SSH_FAILED } from './ssh.js'
import { connectMaster, removeSockets, type Master } from './ssh-master.js'

export type { RunOptions, RunResult } from './process.js'

export interface HostRunOptions extends RunOptions {
  /** Run it as root, by `sudo -n`. Without it, as the user who logs in. */
  readonly become?: 'sudo' | null
}
export interface StartOptions {
  readonly label: string
  readonly become?: 'sudo' | null
  readonly onStderr?: ((line: string) => void) | undefined
  /** What an end means that is not the connection's fault. */
  readonly explain?: Explain
}
export interface Host {
  /** "local", or as ssh takes it. */
  readonly name: string
  /** For messages: "this host", "node-b". */
  readonly label: string
  readonly local: boolean
  /**
   * Runs a command to its end. Its own failure is a result; a FerryError means that it was not run, or that it is not known
   * how it ended: `link/ssh`, `link/sudo`. A command with a timeout or a signal is stopped with all it started, also on
   * another host, and reads /dev/null there unless it has `input`.
   */
  run(command: readonly string[], options?: HostRunOptions): Promise<RunResult>
  /** Starts a program that speaks the control protocol. */
  start(command: readonly string[], options: StartOptions): Promise<Connection>
  /** Makes the connection; how long that took, in milliseconds, or null where there is none to make. */
  connect(): Promise<number | null>
  /** Ends the connection, and whatever runs on it. The next use makes a new one. */
  close(): Promise<void>
}

/** How long a session waits to hear from its connection why it broke. */
const REASON_MS = 500

const LOCAL: Host = {
  name: 'local',
  label: 'this host',
  local: true,
  async run(command, { become, env, ...options } = {}) {
    const [file = '', ...args] = wrapped(command, { become, env })
    const result = await runProcess(file, args, options)
    if (become === 'sudo') checkSudo('this host', result)
    return result
  },
  async start(command, { become, explain, label, onStderr }) {
    const [file = '', ...args] = wrapped(command, { become })
    return startProcess(file, args, label, onStderr, explain)
  },
  connect: async () => null,
  close: async () => undefined,
}

class SshHost implements Host {
  readonly name: string
  readonly label: string
  readonly local = false
  keepaliveMs = DEFAULT_KEEPALIVE_MS
  private master: Promise<Master> | undefined

  constructor(name: string) {
    this.name = name
    this.label = name
  }

  async connect(): Promise<number> {
    return (await this.connected()).connectMs
  }

  /** The connection; a new one when there is none, or the last one broke. */
  private connected(): Promise<Master> {
    if (this.master !== undefined) return this.master
    const making = connectMaster(this.name, this.keepaliveMs)
    const forget = (): void => {
      if (this.master === making) this.master = undefined
    }
    this.master = making
    making.then((master) => void master.ended.then(forget), forget)
    return making
  }

  async run(command: readonly string[], options: HostRunOptions = {}): Promise<RunResult> {
    const master = await this.connected()
    const { become, env, input, signal, timeoutMs } = options
    const lifeline = input === undefined && (timeoutMs !== undefined || signal !== undefined)
    const line = shellLine(wrapped(command, { become, env, lifeline }))
    const result = await runProcess(sshProgram(), this.arguments(line, master), {
      lifeline,
      ...(input !== undefined && { input }),
      ...(signal !== undefined && { signal }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
    if (result.exitCode === SSH_FAILED && !result.timedOut && !result.aborted) {
      const stderr = [...lines(result.stderr), ...(await lastWords(master))]
      if (!master.isAlive() || isSshFailure(stderr)) throw this.failure(stderr)
    }
    if (become === 'sudo') checkSudo(this.label, result)
    return result
  }

  async start(command: readonly string[], options: StartOptions): Promise<Connection> {
    const master = await this.connected()
    const line = shellLine(wrapped(command, { become: options.become }))
    return startProcess(
      sshProgram(),
      this.arguments(line, master),
      options.label,
      options.onStderr,
      async (status, stderr) => {
        if (status !== SSH_FAILED) return (await options.explain?.(status, stderr)) ?? null
        // The session only knows that its connection is gone; why, the connection's own ssh has said.
        const words = await lastWords(master)
        const explanation = explainSsh(this.name, status, [...words, ...stderr])
        return explanation && { ...explanation, message: [explanation.message, ...words].join('\n  ') }
      },
    )
  }

  async close(): Promise<void> {
    const master = await this.master?.catch(() => undefined)
    this.master = undefined
    await master?.close()
  }

  private arguments(line: string, { controlPath, keepaliveMs }: Master): readonly string[] {
    return sshArguments(this.name, line, { controlPath, keepaliveMs, master: false })
  }

  private failure(stderr: readonly string[]): FerryError {
    const found = explainSsh(this.name, SSH_FAILED, stderr)
    return new FerryError({
      code: 'link/ssh',
      exit: EXIT.error,
      message: [found?.message ?? `${this.name}: ssh failed`, ...stderr].join('\n  '),
      suggestions: found === null ? [] : [found.suggestion],
    })
  }
}

/** What ssh said of a connection that is gone; nothing while it stands. */
async function lastWords(master: Master): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined
  // Not unref'd: the connection's own process delays nothing, and ferry would end in the middle of this.
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), REASON_MS)
  })
  const end = await Promise.race([master.ended, late])
  clearTimeout(timer)
  return end?.stderr ?? []
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}

function checkSudo(host: string, { exitCode, stderr }: RunResult): void {
  if (exitCode === 0) return
  const said = lines(stderr)
  const refusal = explainSudo(host, said)
  if (refusal === null) return
  throw new FerryError({
    code: refusal.code,
    exit: EXIT.error,
    message: [refusal.message, ...said].join('\n  '),
    suggestions: [refusal.suggestion],
  })
}

const hosts = new Map<string, SshHost>()

/**
 * The host of a side. The same name gives the same host, and so the same connection, until the process ends; a
 * connection made before `keepaliveMs` was said keeps its own.
 */
export function hostOf(spec: Pick<HostSpec, 'host'>, options: { readonly keepaliveMs?: number } = {}): Host {
  if (spec.host === 'local') return LOCAL
  const host = hosts.get(spec.host) ?? new SshHost(spec.host)
  hosts.set(spec.host, host)
  if (options.keepaliveMs !== undefined) host.keepaliveMs = options.keepaliveMs
  return host
}

/** Ends every connection of this process. */
export async function closeHosts(): Promise<void> {
  await Promise.all([...hosts.values()].map((host) => host.close()))
  hosts.clear()
  removeSockets()
}
