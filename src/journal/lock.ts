/** The lock of a journal: one process writes it at a time. Two that append side by side would leave a file that cannot be read. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'

/**
 * Makes `<state-dir>/driven/<run>`, which names our process, and returns what removes it; that of a process which is
 * gone is taken over. Throws a FerryError, `run/busy`, when its process lives.
 */
export function lockJournal(stateDir: string, run: string): () => void {
  const path = drivenBy(stateDir, run)
  for (let left = 1; ; left--) {
    try {
      mkdirSync(join(stateDir, 'driven'), { recursive: true, mode: 0o700 })
      writeFileSync(path, identity(process.pid) ?? '', { flag: 'wx', mode: 0o600 })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        const message = `${path} cannot be made; nothing was started`
        throw fromSystemError(error, { code: 'journal/create', exit: EXIT.error, message })
      }
      const holder = readFileSync(path, 'utf8')
      // An empty file is one that is being written.
      const lives = holder === '' || isAlive(holder)
      if (left === 0 || lives) throw runBusyError(run, `process ${holder.split(' ')[0] ?? ''} does (${path})`)
      rmSync(path, { force: true })
    }
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

/** A process's number, and when it began in clock ticks since boot (proc_pid_stat(5)): numbers are used again. */
function identity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // One that has ended and is not waited for writes nothing any more.
    return 'ZX'.includes(state) ? null : `${pid} ${rest[18] ?? ''}`
  } catch {
    return null
  }
}
