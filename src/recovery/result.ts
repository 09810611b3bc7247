/** What a recovery is given, and what comes of it. */
import type { LeftAt, Scheduled } from '../run/left-at.js'
import type { RunResult } from '../run/runner.js'
import type { EventRecord, Outcome } from '../journal/event.js'
import type { Subscriber } from '../journal/event-stream.js'
import type { SavedJournal } from '../journal/read.js'
import type { HelperErrorBody, Role } from '../protocol/protocol.js'
import type { Choice, Saying } from './choices.js'
import type { Recovery } from './decide.js'
import type { ResumedJournal } from './resume-journal.js'
import type { Reach, WholeClient } from './sides.js'

/** A run that both helpers have kept, with its journal taken up. */
export interface Kept {
  readonly saved: SavedJournal
  readonly journal: ResumedJournal
  readonly source: WholeClient
  readonly destination: WholeClient
  readonly left: LeftAt
  readonly epoch: number
}
/** How it ended, with all that a report needs. */
export interface WentOn extends RunResult {
  readonly records: readonly EventRecord[]
  /** A cutover that was asked for a time which passed while no ferry drove the run: it was not made. */
  readonly missed: Scheduled | null
}
export interface RecoverInput {
  readonly saved: SavedJournal
  readonly stateDir: string
  readonly version: string
  /** What a person says of the run; absent: nothing. */
  readonly said?: Saying
  /** Whether that person gives the token of what was said, which is asked only where it changes what is done. */
  readonly confirm?: (token: string, effect: string) => Promise<boolean>
  /** Goes on with a run that both helpers have kept; null: one of them has begun to undo it. Absent: it is undone. */
  readonly goOn?: (kept: Kept) => Promise<WentOn | null>
  /** Opens or attaches; src/link does it. */
  readonly reach: Reach
  readonly onEvent?: Subscriber
}
export interface RecoveryResult {
  readonly run: string
  readonly outcome: Outcome
  readonly exit: number
  /** What was found on either side, in the words of decide-recovery. */
  readonly source: string
  readonly destination: string
  readonly did: Recovery['do'] | 'go-on'
  readonly error: HelperErrorBody | null
  readonly problems: readonly HelperErrorBody[]
  /** What a person can decide, where Ferry alone refuses. */
  readonly choices: readonly Choice[]
  /** A side that was declared dead and was not found since. */
  readonly owed: Role | null
  /** A person gave the run up. */
  readonly givenUp?: true
  /** Of a run that went on. */
  readonly records?: readonly EventRecord[]
  readonly missed?: Scheduled | null
}
