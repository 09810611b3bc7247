import { EXIT, FerryError } from '../errors.js'
import type { PrecopyReply } from '../link/protocol.js'
import { bytesText, microsText } from '../plan/quantities.js'
import { putBack } from './rollback.js'
import type { Phase } from './phase.js'

/** Memory and device state are sent while the devices run, round by round, until what remains fits the limit. */
export const preCopy: Phase = {
  name: 'pre-copy',
  async run(context) {
    const { migration } = context.profile
    const { bandwidth, downtimeLimitMs, precopy } = migration
    const reply = await context.step({
      side: 'source',
      op: 'precopy',
      params: {
        maxRounds: precopy.maxRounds,
        maxTimeMs: precopy.maxTimeMs,
        downtimeLimitMs,
        fixedBlackoutUs: context.plan.forecast.fixedBlackoutUs,
        verify: migration.verify === 'full',
        ...(bandwidth !== null && { bandwidth: bandwidth.toString() }),
      },
      text: `send the memory until the rest fits ${microsText(downtimeLimitMs * 1000)}`,
    })
    context.state.precopy = reply
    if (migration.onNotConverged === 'give-up' && !fits(reply, downtimeLimitMs)) {
      throw notConverged(reply, downtimeLimitMs)
    }
  },
  undo: putBack,
}

/** Whether what remains can be moved within the limit, by the helper's own estimate. */
function fits(reply: PrecopyReply, downtimeLimitMs: number): boolean {
  return reply.reason === 'converged' || reply.estimatedBlackoutUs <= downtimeLimitMs * 1000
}

function notConverged(reply: PrecopyReply, downtimeLimitMs: number): FerryError {
  const bound = reply.reason === 'rounds' ? `${reply.rounds} rounds` : 'the time allowed'
  return new FerryError({
    code: 'limit/not-converged',
    exit: EXIT.downtimeLimit,
    message:
      `after ${bound}, ${bytesText(BigInt(reply.remainingBytes))} remain: moving them would stop the devices ` +
      `for about ${microsText(reply.estimatedBlackoutUs)}, and the limit is ${microsText(downtimeLimitMs * 1000)}`,
    suggestions: [
      'let the devices write less, allow more with --downtime-limit, --max-rounds or --max-time, or go ahead ' +
        'with --on-not-converged go-ahead (the limit still holds)',
    ],
  })
}
