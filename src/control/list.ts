/** Every run of a state folder, with what is known of it. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { driverOf } from '../journal/lock.js'
import { findJournal, hasNoBeginning, listRuns } from '../journal/read.js'
import type { RunStatus } from '../journal/status.js'
import { whyUnfinished, type Unfinished } from '../journal/unfinished.js'
import { findRun, runStatus } from './client.js'

export interface KnownRun {
  readonly run: string
  readonly status: RunStatus
  readonly live: boolean
  /** Why it has to be recovered; null: it has not. */
  readonly unfinished: Unfinished | null
}
/** Reading a journal takes memory and time; so many are looked at side by side. */
const AT_ONCE = 4

/** Newest first, `most` of them. Journals that cannot be read are named in `unread`. */
export async function knownRuns(
  stateDir: string,
  most: number,
): Promise<{
  readonly runs: readonly KnownRun[]
  readonly more: number
  readonly unread: readonly FerryError[]
}> {
  const ids = listRuns(stateDir)
  const wanted = ids.slice(0, most)
  const runs: KnownRun[] = []
  const unread: FerryError[] = []
  for (let from = 0; from < wanted.length; from += AT_ONCE) {
    const looked = await Promise.allSettled(
      wanted.slice(from, from + AT_ONCE).map((id) => look(stateDir, id)),
    )
    for (const result of looked) {
      if (result.status === 'fulfilled') runs.push(result.value)
      else unread.push(asError(result.reason))
    }
  }
  return { runs, more: ids.length - wanted.length, unread }
}

/** Runs that no ferry drives and that somebody has to recover, and journals that cannot be read, newest first. */
export async function unfinishedRuns(stateDir: string): Promise<{
  readonly runs: readonly KnownRun[]
  readonly unread: readonly FerryError[]
  /** Ids of journals whose beginning is lost: both sides may have something of the run, and it does not say where. */
  readonly lost: readonly string[]
}> {
  const { runs, unread } = await knownRuns(stateDir, Infinity)
  const known = new Set(runs.map(({ run }) => run))
  const lost = listRuns(stateDir).filter(
    (id) => !known.has(id) && driverOf(stateDir, id) === null && hasNoBeginning(findJournal(stateDir, id)),
  )
  return { runs: runs.filter(({ unfinished }) => unfinished !== null), unread, lost }
}

async function look(stateDir: string, id: string): Promise<KnownRun> {
  const found = await findRun(stateDir, findJournal(stateDir, id))
  try {
    const live = found.connection !== null || found.driver !== null
    return {
      run: id,
      status: await runStatus(found),
      live,
      unfinished: live ? null : whyUnfinished(found.records),
    }
  } finally {
    found.connection?.close()
  }
}

function asError(thrown: unknown): FerryError {
  if (thrown instanceof FerryError) return thrown
  return new FerryError({ code: 'journal/read', exit: EXIT.error, message: String(thrown) })
}
