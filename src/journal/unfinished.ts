/** Runs that are not at rest: somebody has to recover them. */
import type { EventRecord, Outcome } from './event.js'
import type { Role } from '../protocol/protocol.js'

/** died: its ferry is gone without an end. owed: a side that was declared dead was not found since. */
export type Unfinished = 'died' | 'unknown' | 'needs-person' | 'sides-disagree' | 'owed'

const OPEN: ReadonlySet<Outcome> = new Set(['unknown', 'needs-person', 'sides-disagree'])

/** Why a run that no ferry drives is not finished; null: it is. What only measures is undone by its helper alone. */
export function whyUnfinished(records: readonly EventRecord[]): Unfinished | null {
  const start = records[0]?.body
  if (start?.type !== 'run-start' || start.command !== 'migrate') return null
  const end = records.findLast(({ body }) => body.type === 'run-end' || body.type === 'recover-start')?.body
  if (end?.type !== 'run-end') return 'died'
  if (end.givenUp !== true && OPEN.has(end.outcome)) return end.outcome as Unfinished
  return owedSide({ records }) === null ? null : 'owed'
}

/**
 * The side that was declared dead when the run was ended without it, and was not found since: what it has of the run is
 * still to be closed or dropped. Null: none.
 */
export function owedSide({ records }: { readonly records: readonly EventRecord[] }): Role | null {
  let owed: Role | null = null
  for (const { body } of records) {
    if (body.type === 'recover-start') owed = body.decided?.dead ?? owed
    if (body.type === 'run-end' && body.found !== undefined) owed = null
  }
  return owed
}
