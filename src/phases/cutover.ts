import { EXIT } from '../exit-codes.js'
import { fromHelperError, HelperRequestError } from '../link/helper-error.js'
import type { CutoverReply, HelperErrorBody } from '../protocol/protocol.js'
import { putBack } from './rollback.js'
import { pausesOf } from './pauses.js'
import type { Phase } from './phase.js'

/**
 * One request: the two helpers stop the devices, send the last pages and states, check them, commit and resume
 * between themselves. What comes back decides whether anything may still be undone.
 */
export const cutover: Phase = {
  name: 'cutover',
  async run(session, steering) {
    const { plan, profile, state, step } = session
    let reply: CutoverReply
    try {
      reply = await step({
        side: 'source',
        op: 'cutover',
        params: {
          downtimeLimitMs: steering.limits.downtimeLimitMs,
          fixedBlackoutUs: plan.forecast.fixedBlackoutUs,
          verify: profile.migration.verify === 'full',
          ...(profile.migration.maxStateBytes !== null && {
            maxState: profile.migration.maxStateBytes.toString(),
          }),
          ...pausesOf(profile, steering),
        },
        text: 'stop the devices, move the rest, start them on the destination',
      })
    } catch (error) {
      // An error reply is the helper refusing to begin. Without any reply, COMMIT may have been written.
      if (!(error instanceof HelperRequestError) && error instanceof Error)
        state.outcomeUnknown = wasSent(error)
      throw error
    } finally {
      await steering.endPauses()
    }
    state.cutover = reply
    if (reply.outcome === 'running') {
      state.committed = true
      return
    }
    const cause = reply.cause ?? unexplained(reply)
    if (reply.outcome === 'needs-person') state.needsPerson.push(cause)
    if (reply.outcome === 'unknown') state.outcomeUnknown = true
    throw fromHelperError(cause, { exit: EXIT.rolledBack, side: 'source' })
  },
  undo: putBack,
}

/** A cancel or a journal that cannot be written stops a request before it is sent. */
function wasSent(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined
  return code !== 'run/cancelled' && code !== 'journal/write'
}

function unexplained(reply: CutoverReply): HelperErrorBody {
  return {
    code: 'helper/bug',
    message: `the cutover ended ${reply.outcome}; the helper gave no reason`,
  }
}
