/** Starting programs: one that speaks the control protocol, and one that is run to its end. */
import { execa } from 'execa'
import type { Readable } from 'node:stream'
import { keepTail, type Connection, type HelperEnd } from './connection.js'

export type Explanation = NonNullable<HelperEnd['explanation']>
/** What an end means that is not the program's own doing; null: nothing more than it shows. */
export type Explain = (
  exitCode: number | null,
  stderr: readonly string[],
) => Explanation | null | Promise<Explanation | null>

/** A child of a dead process may hold its pipes open (a ProxyCommand, a daemon): ferry waits no longer than this. */
const PIPES_MS = 1000

const COMMON = {
  stdin: 'pipe',
  stdout: 'pipe',
  stderr: 'pipe',
  buffer: false,
  reject: false,
  // A session of its own: a Ctrl-C at the terminal reaches ferry alone, which then asks for a cancel.
  detached: true,
  // Every path it is given is absolute, and where ferry was started may be closed to it.
  cwd: '/',
  cleanup: false,
  // Undone work and a written COMMIT record must not be cut short by a signal of ours.
  forceKillAfterDelay: false,
} as const

function spawn(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return execa(file, [...args], { ...COMMON, env })
}
type Child = ReturnType<typeof spawn>

interface End {
  readonly exitCode: number | null
  readonly signal: string | null
  /** Why there was no process at all. */
  readonly failed?: string
}

/** Settles once, when the process is gone and its pipes were read. */
async function endOf(child: Child): Promise<End> {
  let timer: NodeJS.Timeout | undefined
  const gone = new Promise<End>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      timer = setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
        resolve({ exitCode, signal })
      }, PIPES_MS)
    })
  })
  try {
    const done = Promise.resolve(child).then(
      (result): End => {
        const { exitCode = null, signal = null } = result
        if (exitCode !== null || signal !== null) return { exitCode, signal }
        return { exitCode, signal, failed: result.originalMessage ?? result.message ?? 'unknown error' }
      },
      (error: unknown): End => ({ exitCode: null, signal: null, failed: messageOf(error) }),
    )
    return await Promise.race([done, gone])
  } finally {
    clearTimeout(timer)
  }
}

/** Starts a program that speaks the protocol on its stdio. */
export function startProcess(
  file: string,
  args: readonly string[],
  label: string,
  onStderr?: (line: string) => void,
  explain?: Explain,
): Connection {
  const child = spawn(file, args)
  const tail = keepTail(child.stderr, onStderr)
  const ended = endOf(child).then(async ({ exitCode, failed, signal }): Promise<HelperEnd> => {
    const explanation =
      failed === undefined
        ? await explain?.(exitCode, tail.lines)
        : {
            code: 'helper/spawn' as const,
            message: `${file} could not be started: ${failed}`,
            suggestion: 'check that the file exists and is a program for this machine',
          }
    return { exitCode, signal, stderr: [...tail.lines], ...(explanation && { explanation }) }
  })
  return {
    label,
    stdin: child.stdin,
    stdout: child.stdout,
    ended,
    // A program that could not be started has no pid, and the signal would go to our own process group.
    kill: (signal) => void (child.pid !== undefined && child.kill(signal)),
    unref: () => {
      child.unref()
      for (const pipe of [child.stdin, child.stdout, child.stderr]) (pipe as { unref?: () => void }).unref?.()
    },
  }
}

export interface RunOptions {
  /** Its stdin; without it the command reads nothing. */
  readonly input?: string | Buffer | Readable
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  /** After this many milliseconds the command and all it started are stopped: SIGTERM, two seconds later SIGKILL. */
  readonly timeoutMs?: number
  /** Stops it likewise. */
  readonly signal?: AbortSignal
}
export interface RunResult {
  /** Null when it was killed. 127: there is no such program. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** The last MiB of each. */
  readonly stdout: string
  readonly stderr: string
  /** It was stopped, by the timeout or by the signal. */
  readonly timedOut: boolean
  readonly aborted: boolean
}
export interface Stopping {
  /** stdin stays open until the command ended or is to be stopped; its end is what stops it. */
  readonly lifeline?: boolean
}

const KEPT_BYTES = 1024 * 1024
const KILL_MS = 2000

/** Runs a program to its end. Never rejects: a program that cannot be started has exit code 127, as in a shell. */
export async function runProcess(
  file: string,
  args: readonly string[],
  options: RunOptions & Stopping = {},
): Promise<RunResult> {
  const { env, input, lifeline = false, signal, timeoutMs } = options
  if (signal?.aborted) return stoppedBefore()
  const child = spawn(file, args, env)
  const stdout = capture(child.stdout)
  const stderr = capture(child.stderr)
  child.stdin.on('error', () => undefined)
  if (input !== undefined && typeof input !== 'string' && !Buffer.isBuffer(input)) {
    input.on('error', () => child.stdin.destroy()).pipe(child.stdin)
  } else if (!lifeline) child.stdin.end(input)

  let stopped: 'timeout' | 'abort' | undefined
  const timers: NodeJS.Timeout[] = []
  const stop = (why: 'timeout' | 'abort'): void => {
    if (stopped !== undefined) return
    stopped = why
    child.stdin.end()
    // What hangs on a lifeline ends by it, and needs the time to do so.
    if (!lifeline) killGroup(child, 'SIGTERM')
    timers.push(setTimeout(() => killGroup(child, 'SIGKILL'), lifeline ? 2 * KILL_MS : KILL_MS))
  }
  const abort = (): void => stop('abort')
  signal?.addEventListener('abort', abort, { once: true })
  if (timeoutMs !== undefined) timers.push(setTimeout(() => stop('timeout'), timeoutMs))
  try {
    const end = await endOf(child)
    return {
      exitCode: end.failed === undefined ? end.exitCode : 127,
      signal: end.signal,
      stdout: stdout(),
      stderr: end.failed === undefined ? stderr() : `${file}: ${end.failed}`,
      timedOut: stopped === 'timeout',
      aborted: stopped === 'abort',
    }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
    child.stdin.destroy()
  }
}

/** The child leads a group of its own (detached). */
function killGroup(child: Child, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // Gone meanwhile.
  }
}

function capture(stream: Readable): () => string {
  const chunks: Buffer[] = []
  let held = 0
  stream.on('error', () => undefined)
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    held += chunk.length
    while (chunks.length > 1 && held - (chunks[0]?.length ?? 0) >= KEPT_BYTES)
      held -= chunks.shift()?.length ?? 0
  })
  return () => Buffer.concat(chunks).subarray(-KEPT_BYTES).toString('utf8')
}

function stoppedBefore(): RunResult {
  return { exitCode: null, signal: null, stdout: '', stderr: '', timedOut: false, aborted: true }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
