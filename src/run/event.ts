import type { HelperErrorBody, HelperEvent, Role } from '../link/protocol.js'
import type { PhaseName } from '../plan/plan.js'

/**
 * The one stream of a run. The journal stores it line by line, the terminal shows it, the report is computed from
 * it: nothing a person sees about a run comes from anywhere else, so a saved journal replays all of it.
 */
export interface EventRecord {
  readonly seq: number
  /** ISO 8601, UTC, milliseconds. */
  readonly time: string
  /** Microseconds since the run began, monotonic. */
  readonly atUs: number
  readonly body: Event
}
export type Event =
  | {
      readonly type: 'run-start'
      readonly run: string
      readonly command: 'migrate' | 'pin' | 'dirty-log'
      readonly profile: string
      readonly file: string
      readonly version: string
      readonly plan: unknown
    }
  | { readonly type: 'phase-start'; readonly phase: PhaseName }
  | {
      readonly type: 'phase-end'
      readonly phase: PhaseName
      readonly outcome: 'ok' | 'failed' | 'cancelled'
      readonly elapsedUs: number
    }
  | {
      readonly type: 'intent'
      readonly step: number
      readonly phase: PhaseName
      readonly side: Role
      readonly op: string
      readonly text: string
      readonly params: unknown
    }
  | {
      readonly type: 'outcome'
      readonly step: number
      readonly ok: boolean
      readonly elapsedUs: number
      readonly reply?: unknown
      readonly error?: HelperErrorBody
    }
  | { readonly type: 'helper'; readonly side: Role; readonly event: HelperEvent }
  | { readonly type: 'cancel-asked' }
  | {
      readonly type: 'run-end'
      readonly outcome: Outcome
      readonly exit: number
      readonly error?: HelperErrorBody
      readonly elapsedUs: number
    }
export type Outcome =
  | 'done'
  | 'not-started'
  | 'cancelled'
  | 'rolled-back'
  | 'needs-person'
  | 'downtime-limit'
  | 'sides-disagree'
  | 'unknown'
