/** The journal of a run that its ferry left, taken up again: what a recovery or a release asks goes behind it. */
import type { FerryError } from '../errors.js'
import { EventStream, type Subscriber } from '../journal/event-stream.js'
import type { SavedJournal } from '../journal/read.js'
import { takeUp } from '../journal/reopen.js'
import type { RunSession } from '../phases/phase.js'
import type { Role } from '../protocol/protocol.js'
import { JournaledRequests } from '../run/requests.js'
import type { Client } from './sides.js'

export interface ResumedJournal {
  readonly events: EventStream
  /** The first failed write, if any. */
  error(): FerryError | undefined
  /** Sends requests, each in the journal as a run's are. */
  requestsTo(sides: Readonly<Record<Role, Client | null>>): RunSession['step']
  close(): void
}

/** Throws a FerryError, `run/busy`, when another process has the journal. */
export function resumeJournal(
  saved: SavedJournal,
  {
    onEvent,
    run,
    stateDir,
  }: { readonly run: string; readonly stateDir: string; readonly onEvent?: Subscriber },
): ResumedJournal {
  const journal = takeUp(saved, stateDir, run)
  const events = new EventStream(undefined, saved.records.at(-1))
  events.subscribe(journal.append)
  if (onEvent !== undefined) events.subscribe(onEvent)
  const steps = saved.records.flatMap(({ body }) => (body.type === 'intent' ? [body.step] : []))
  return {
    events,
    error: () => journal.error,
    requestsTo: (sides) => {
      const requests = new JournaledRequests({ events, sides, after: saved.damaged + Math.max(0, ...steps) })
      return (call) => requests.send(call, 'rollback')
    },
    close: () => journal.close(),
  }
}
