/**
 * After a cutover without an answer: COMMIT may have been written on the source, and the destination may or may
 * not have read it. While both helpers still answer there is one safe way to find out, and it is taken here.
 */
import { errorBodyOf } from '../link/helper-error.js'
import { isLost } from '../link/link-error.js'
import type { StatusReply } from '../protocol/protocol.js'
import type { RunSession } from '../phases/phase.js'

/**
 * running: the destination has committed and runs; the source stays stopped.
 * stuck: it has committed and could not start every device, as its reply to `receive` says; the source stays stopped.
 * discarded: the destination holds nothing of this run and never will, so the source may run again.
 * unknown: the destination cannot be asked, or does not come to rest.
 */
export type CutoverFate = 'running' | 'stuck' | 'discarded' | 'unknown'

/** How often the destination is asked, and how long is waited between. */
export interface Patience {
  readonly polls: number
  readonly betweenMs: number
}
const ASK_PATIENCE: Patience = { polls: 20, betweenMs: 250 }

/**
 * INVARIANT (one runner): 'discarded' is answered only after the destination itself confirmed it. A destination
 * that refuses to discard has committed meanwhile, so it is asked again instead of being overruled.
 */
export async function askDestination(
  session: RunSession,
  patience: Patience = ASK_PATIENCE,
): Promise<CutoverFate> {
  for (let poll = 0; poll < patience.polls; poll++) {
    if (session.destination?.alive !== true) return 'unknown'
    const status = await ask(session)
    if (status === 'lost') return 'unknown'
    if (status?.phase === 'running') return 'running'
    if (status?.phase === 'committed' && (await gaveUp(session))) return 'stuck'
    if (status?.phase === 'discarded') return discarded(session)
    if (status !== null && status.phase !== 'committed' && (await discard(session))) return discarded(session)
    await session.pause(patience.betweenMs)
  }
  return 'unknown'
}

/** Null when the destination did not say, 'lost' when it speaks of another run. */
async function ask({ run, state, step }: RunSession): Promise<StatusReply | 'lost' | null> {
  try {
    const text = 'ask what became of the cutover'
    const status = await step({ side: 'destination', op: 'status', params: {}, text })
    if (status.run === null || status.run === run) return status
    state.problems.push({
      code: 'peer/run',
      message: `the destination's helper serves run ${status.run}, not ${run}`,
    })
    return 'lost'
  } catch (error) {
    state.problems.push(errorBodyOf(error))
    return null
  }
}

/** Whether the destination itself has answered that it did not get its devices to run. It tries only once. */
async function gaveUp({ state }: RunSession): Promise<boolean> {
  const received = await Promise.race([state.receive, Promise.resolve(null)])
  return received !== null && !received.ok && !isLost(received.error)
}

async function discard({ state, step }: RunSession): Promise<boolean> {
  try {
    await step({
      side: 'destination',
      op: 'rollback',
      params: {},
      text: 'discard the run on the destination, if it has not committed',
    })
    return true
  } catch (error) {
    state.problems.push(errorBodyOf(error))
    return false
  }
}

function discarded({ state }: RunSession): CutoverFate {
  state.peerDiscarded = true
  return 'discarded'
}
