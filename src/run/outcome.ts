/** From what went wrong to how the run ended: the one place that knows the meaning of error codes. */
import type { ErrorCode } from '../error-code.js'
import type { ExitCode } from '../exit-codes.js'
import { EXIT } from '../exit-codes.js'
import { isPeerLost } from '../link/link-error.js'
import type { HelperErrorBody, Role } from '../protocol/protocol.js'
import type { RunState } from '../phases/phase.js'
import type { PhaseName } from '../plan/plan.js'
import type { Outcome } from '../journal/event.js'

/** The exit code of a run that ended with this outcome. */
export const OUTCOME_EXIT: Readonly<Record<Outcome, ExitCode>> = {
  done: EXIT.done,
  'not-started': EXIT.error,
  cancelled: EXIT.cancelled,
  'rolled-back': EXIT.rolledBack,
  'needs-person': EXIT.needsPerson,
  'downtime-limit': EXIT.downtimeLimit,
  'sides-disagree': EXIT.sidesDisagree,
  unknown: EXIT.unknown,
}

/** The code of a run that ended with this outcome, where nothing more exact is known. */
export const OUTCOME_CODE: Readonly<Record<Outcome, ErrorCode>> = {
  done: 'run/done',
  'not-started': 'run/not-started',
  cancelled: 'run/cancelled',
  'rolled-back': 'run/rolled-back',
  'needs-person': 'run/needs-person',
  'downtime-limit': 'run/downtime-limit',
  'sides-disagree': 'run/sides-disagree',
  unknown: 'run/unknown',
}

export interface Failure {
  readonly phase: PhaseName
  readonly body: HelperErrorBody
  readonly exit: ExitCode
  readonly side: Role | null
}

/** Codes by which one side says that the other is not who or what it should be. */
const DISAGREE: ReadonlySet<string> = new Set([
  'peer/version',
  'peer/run',
  'peer/outcome',
  'hello/protocol',
  'wire/version',
  'wire/run',
  'wire/epoch',
  'protocol/other-run',
  'protocol/old-epoch',
])
/** Codes of the ceiling: it would be passed, or was about to be. */
const CEILING: ReadonlySet<string> = new Set(['limit/downtime', 'limit/not-converged', 'limit/hold'])
/** How long the destination is given to say why the link broke. */
const GRACE_MS = 500

export interface Judged {
  readonly outcome: Outcome
  readonly error: HelperErrorBody | null
}

/**
 * How a run that was not committed ended, after everything was put back. A device that needs a person comes before
 * every other reading: scripts must never take such a run for a clean one.
 */
export function judgeFailure(
  failure: Failure | null,
  facts: {
    readonly state: RunState
    readonly cancelAsked: boolean
    /** Why, when it was not the operator who asked. */
    readonly cancelCause?: HelperErrorBody | null
    readonly touched: boolean
  },
): Judged {
  const { cancelAsked, cancelCause, state, touched } = facts
  const person = state.needsPerson[0]
  if (person !== undefined) return { outcome: 'needs-person', error: withCause(person, failure?.body) }
  if (failure === null) return { outcome: 'done', error: null }
  const { body } = failure
  if (cancelAsked) {
    const error = cancelCause ?? { code: 'run/cancelled', message: 'cancelled' }
    return { outcome: CEILING.has(error.code) ? 'downtime-limit' : 'cancelled', error }
  }
  if (CEILING.has(body.code)) return { outcome: 'downtime-limit', error: body }
  if (DISAGREE.has(body.code) || failure.exit === EXIT.sidesDisagree)
    return { outcome: 'sides-disagree', error: body }
  return { outcome: touched ? 'rolled-back' : 'not-started', error: body }
}

/** The destination's reason, when all the source saw of it was the link breaking. */
export async function rootCause(failure: Failure, state: RunState): Promise<Failure> {
  if (failure.side === 'destination' || state.receive === null || !isPeerLost(failure.body)) return failure
  let timer: NodeJS.Timeout | undefined
  const grace = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), GRACE_MS)
  })
  const received = await Promise.race([state.receive, grace])
  clearTimeout(timer)
  if (received === null || received.ok || isPeerLost(received.error)) return failure
  return { ...failure, side: 'destination', body: withCause(received.error, failure.body) }
}

function withCause(body: HelperErrorBody, cause: HelperErrorBody | undefined): HelperErrorBody {
  if (cause === undefined || cause.code === body.code) return body
  return { ...body, message: `${body.message}; it began with [${cause.code}] ${cause.message}` }
}
