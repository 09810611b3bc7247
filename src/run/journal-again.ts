/** Taking up the journal of a run that its ferry left: by one process at a time, behind its last whole record. */
import { readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { EXIT, FerryError, fromSystemError } from '../errors.js'
import { Journal } from './journal.js'
import { readJournal, type SavedJournal } from './journal-read.js'

/**
 * Throws a FerryError, `recover/busy`, when another process has it, or has written to it since it was read: two that
 * append side by side would leave what nobody could read any more.
 */
export function takeUp(saved: SavedJournal, stateDir: string, run: string): Journal {
  const free = lock(saved.path, run)
  try {
    const now = readJournal(saved.path)
    if (now.records.length !== saved.records.length) throw busy(run, 'somebody has gone on with it meanwhile')
    // Half a record before a whole one would be no record of a run.
    if (now.torn) truncateSync(saved.path, readFileSync(saved.path).lastIndexOf('\n') + 1)
    return new Journal(stateDir, run, free)
  } catch (error) {
    free()
    throw error
  }
}

/** A file beside the journal that names our process. That of a process which is gone is taken over. */
function lock(journal: string, run: string): () => void {
  const path = `${journal}.lock`
  for (let left = 1; ; left--) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 })
      return () => unlinkSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        const message = `${path} cannot be made; nothing was asked of either side`
        throw fromSystemError(error, { code: 'journal/create', exit: EXIT.error, message })
      }
      const pid = Number(readFileSync(path, 'utf8'))
      if (left === 0 || isAlive(pid)) throw busy(run, `process ${pid} has it (${path})`)
      unlinkSync(path)
    }
  }
}

function isAlive(pid: number): boolean {
  // An empty file is one that is being written.
  if (!Number.isSafeInteger(pid) || pid <= 0) return true
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function busy(run: string, why: string): FerryError {
  return new FerryError({
    code: 'recover/busy',
    exit: EXIT.error,
    message: `run ${run} is being recovered or released: ${why}`,
    suggestions: [`\`ferry status ${run}\` shows how it stands; try again when that is over`],
  })
}
