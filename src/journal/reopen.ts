/** Taking up the journal of a run that its ferry left: by one process at a time, behind its last whole record. */
import { readFileSync, truncateSync } from 'node:fs'
import { Journal } from './journal.js'
import { runBusyError, lockJournal } from './lock.js'
import { readWhatIsLeft, type SavedJournal } from './read.js'

/** Throws a FerryError, `run/busy`, when another process has it, or has written to it since it was read. */
export function takeUp(saved: SavedJournal, stateDir: string, run: string): Journal {
  const free = lockJournal(stateDir, run)
  try {
    const now = readWhatIsLeft(saved.path)
    if (now.records.length !== saved.records.length) throw runBusyError(run, 'it went on meanwhile')
    // Drop a torn last line before appending.
    if (now.torn) truncateSync(saved.path, readFileSync(saved.path).lastIndexOf('\n') + 1)
    return new Journal(stateDir, run, free)
  } catch (error) {
    free()
    throw error
  }
}
