/** The lock of a journal: one process writes it at a time. Two that append side by side would leave a file that cannot be read. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'

const BEING_WRITTEN_MS = 10_000

/**
 * Makes `<state-dir>/driven/<run>`, which names our process, and returns what removes it; that of a process which is
 * gone is taken over. Throws a FerryError, `run/busy`, when its process lives.
 */
export function lockJournal(stateDir: string, run: string): () => void {
  const path = drivenBy(stateDir, run)
  for (let left = 3; ; left--) {
    try {
      mkdirSync(join(stateDir, 'driven'), { recursive: true, mode: 0o700 })
      makeWhole(path, identity(process.pid) ?? '')
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        const message = `${path} cannot be made; nothing was started`
        throw fromSystemError(error, { code: 'journal/create', exit: EXIT.error, message })
      }
      const holder = holderIn(path)
      // Another process is just taking a stale one away.
      if (holder === null && left > 0) continue
      if (holder === null) throw runBusyError(run, `another process does (${path})`)
      const lives = holder === '' ? isNew(path) : isAlive(holder)
      if (left === 0 || lives) throw runBusyError(run, `process ${holder.split(' ')[0] ?? ''} does (${path})`)
      takeAway(path, holder)
    }
  }
}

/** Null: it has gone. */
function holderIn(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Whole or not there: an empty lock would stand for a process that nobody can name. */
function makeWhole(path: string, text: string): void {
  const beside = `${path}.${process.pid}`
  writeFileSync(beside, text, { mode: 0o600 })
  try {
    linkSync(beside, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error
    // A file system without hard links.
    writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
  } finally {
    rmSync(beside, { force: true })
  }
}

/** Removes the lock of a process that is gone; one that another process has made meanwhile is put back. */
function takeAway(path: string, stale: string): void {
  const away = `${path}.${process.pid}.gone`
  try {
    renameSync(path, away)
    if (readFileSync(away, 'utf8') !== stale) linkSync(away, path)
  } catch {
    // Another process was quicker; the next try finds out.
  } finally {
    rmSync(away, { force: true })
  }
}

/** An empty lock is one that is being written, or was when the power went. */
function isNew(path: string): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs < BEING_WRITTEN_MS
  } catch {
    return false
  }
}

export function drivenBy(stateDir: string, run: string): string {
  return join(stateDir, 'driven', run)
}

/** The process on this host that writes the run's journal, and lives; null: none. */
export function driverOf(stateDir: string, run: string): number | null {
  try {
    const holder = readFileSync(drivenBy(stateDir, run), 'utf8')
    return isAlive(holder) ? Number.parseInt(holder, 10) : null
  } catch {
    return null
  }
}

function isAlive(holder: string): boolean {
  return identity(Number.parseInt(holder, 10)) === holder
}

export function runBusyError(run: string, why: string): FerryError {
  return new FerryError({
    code: 'run/busy',
    exit: EXIT.error,
    message: `another ferry drives, recovers or releases run ${run} already: ${why}`,
    suggestions: [`\`ferry status ${run}\` shows how it stands; try again when it has ended`],
  })
}

/** A process's number, when it began in clock ticks since boot (proc_pid_stat(5)), and which boot: all are used again. */
function identity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended and is not waited for writes nothing any more.
    return 'ZX'.includes(state) ? null : `${pid} ${rest[18] ?? ''} ${bootId()}`
  } catch {
    return null
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
