/**
 * Runs that go on without their terminal: ferry starts itself again in a session of its own, and stays until that one
 * has got past everything that can refuse the run. What refuses it is told here, as if it had happened here.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { FerryError, fromSystemError, toFerryError, type ErrorInfo } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { toJson } from '../json.js'
import { runsFolder } from '../journal/journal.js'
import { isRunId, newRunId } from '../journal/run-id.js'

/** Names the run to the process that carries it out; its word is awaited on descriptor 3. */
const VARIABLE = 'FERRY_DETACHED'
const WORD_FD = 3
const LAST_LINES = 5

export interface Detached {
  readonly run: string
  readonly journal: string
  /** What the run's own ferry writes on stdout and stderr. */
  readonly log: string
  readonly pid: number
}
type Word = { readonly started: true } | { readonly error: ErrorInfo }

/**
 * Starts `ferry` with `argv` in the background. Resolves once its run has begun; throws what kept it from beginning.
 * `stdin`: the profile comes from there.
 */
export async function startDetached(
  argv: readonly string[],
  stateDir: string,
  stdin: boolean,
): Promise<Detached> {
  const run = newRunId()
  const log = join(runsFolder(stateDir), `${run}.log`)
  const out = openLog(log)
  const [, script = ''] = process.argv
  const child = spawn(process.execPath, [...process.execArgv, script, ...argv], {
    detached: true,
    env: { ...process.env, [VARIABLE]: run },
    stdio: [stdin ? 'pipe' : 'ignore', out, out, 'pipe'],
  })
  closeSync(out)
  if (stdin && child.stdin !== null) {
    child.stdin.on('error', () => undefined)
    process.stdin.pipe(child.stdin)
  }
  // It is in a session of its own: a Ctrl-C before the run has begun is handed on, and ends it unbegun.
  const hand = (signal: NodeJS.Signals): void => void child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, hand)
  try {
    const word = await wordOf(child, log)
    if ('error' in word) throw new FerryError(word.error)
    return { run, journal: join(runsFolder(stateDir), `${run}.ndjson`), log, pid: child.pid ?? 0 }
  } catch (error) {
    unlinkSync(log)
    throw error
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, hand)
    if (stdin) process.stdin.destroy()
    child.stdio[WORD_FD]?.destroy()
    child.unref()
  }
}

function openLog(log: string): number {
  try {
    mkdirSync(join(log, '..'), { recursive: true, mode: 0o700 })
    return openSync(log, 'wx', 0o600)
  } catch (error) {
    throw fromSystemError(error, {
      code: 'detach/log',
      exit: EXIT.error,
      message: `the log ${log} of the run cannot be created; nothing was started`,
      suggestions: ['name a folder you may write to with --state-dir'],
    })
  }
}

function wordOf(child: ChildProcess, log: string): Promise<Word> {
  const pipe = child.stdio[WORD_FD]
  return new Promise((resolve, reject) => {
    let text = ''
    const died = (how: string): void => reject(notBegunError(how, log))
    child.once('error', (error) => died(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      // Its word may still be in the pipe.
      setImmediate(() =>
        setTimeout(
          () => died(signal === null ? `ended with status ${code}` : `was killed by ${signal}`),
          200,
        ),
      )
    })
    pipe?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const end = text.indexOf('\n')
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)) as Word)
    })
    pipe?.on('error', () => undefined)
  })
}

function notBegunError(how: string, log: string): FerryError {
  let last: readonly string[] = []
  try {
    last = readFileSync(log, 'utf8').trim().split('\n').slice(-LAST_LINES)
  } catch {
    // Then there is nothing to show.
  }
  return new FerryError({
    code: 'detach/failed',
    exit: EXIT.error,
    message: [`the ferry in the background ${how} before its run had begun`, ...last].join('\n  '),
  })
}

/** In the background: the way to tell the ferry that waits. */
export interface Waiting {
  readonly run: string
  started(): void
  failed(thrown: unknown): void
}

/** Null in the foreground. Once only: what this process starts must not take itself for detached. */
export function takeDetached(env: NodeJS.ProcessEnv = process.env): Waiting | null {
  const run = env[VARIABLE]
  Reflect.deleteProperty(env, VARIABLE)
  if (run === undefined || !isRunId(run)) return null
  let told = false
  const tell = (word: Word): void => {
    if (told) return
    told = true
    try {
      writeSync(WORD_FD, `${toJson(word)}\n`)
      closeSync(WORD_FD)
    } catch {
      // Nothing waits any more; the run goes on.
    }
  }
  return {
    run,
    started: () => tell({ started: true }),
    failed: (thrown) => tell({ error: toFerryError(thrown).info }),
  }
}
