/** A run that ended with a device that a person must look at: recovering brings nothing back that the device lost. */
import type { Outcome } from '../journal/event.js'
import type { SavedJournal } from '../journal/read.js'
import type { HelperErrorBody } from '../protocol/protocol.js'

interface Result {
  readonly outcome: Outcome
  readonly error: HelperErrorBody | null
}

/** It was reset, or could not even be reset. */
const LOST: ReadonlySet<string> = new Set(['device/state-lost', 'device/needs-person'])

/**
 * A holder that has its devices back knows nothing of the run: its device may run, after a reset, or be in ERROR, where
 * no rollback is heard any more (`protocol/phase`). Neither is a source that was put back.
 */
export function lostStays({ records }: Pick<SavedJournal, 'records'>, found: Result): Result {
  const end = records.findLast(({ body }) => body.type === 'run-end')?.body
  if (end?.type !== 'run-end' || end.outcome !== 'needs-person' || !LOST.has(end.error?.code ?? ''))
    return found
  const back = found.outcome === 'rolled-back' || found.error?.code === 'protocol/phase'
  return back && end.error !== undefined ? { outcome: 'needs-person', error: end.error } : found
}
