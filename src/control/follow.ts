/** A run's events from the first to the last, from the run itself or from its journal. */
import { FerryError } from '../errors.js'
import type { EventRecord } from '../journal/event.js'
import { readJournal } from '../journal/read.js'
import { withoutSecrets } from '../journal/journal.js'
import { driverGoneError, type FoundRun } from './client.js'

export interface Following {
  /** The first number that is wanted. */
  readonly from: number
  readonly follow: boolean
  readonly progress?: boolean
}

/**
 * Gives the records in order, each once. With `follow` until the run has ended; `run/died` when its ferry dies first.
 */
export async function followRun(
  found: FoundRun,
  { follow, from, progress = false }: Following,
  take: (record: EventRecord) => void,
): Promise<void> {
  let last = from - 1
  let ended = false
  const deliver = (record: EventRecord): void => {
    if (record.seq <= last) return
    last = record.seq
    ended ||= record.body.type === 'run-end'
    take(withoutSecrets(record))
  }
  if (found.connection !== null) {
    try {
      await found.connection.request('events', { from, follow, progress }, deliver)
      return
    } catch (error) {
      if (!(error instanceof FerryError) || error.code !== 'run/gone') throw error
    }
  }
  // What its journal holds beyond what was given.
  const { records } = readJournal(found.journal)
  for (const record of records) deliver(record)
  if (follow && !ended && !records.some(({ body }) => body.type === 'run-end')) throw driverGoneError(found)
}
