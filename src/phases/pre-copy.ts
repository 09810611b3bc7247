import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { fromHelperError } from '../link/helper-error.js'
import type { PrecopyParams, PrecopyReply } from '../protocol/protocol.js'
import { plainSize, duration } from '../units.js'
import { pausesOf } from './pauses.js'
import { putBack } from './rollback.js'
import type { Phase, RunSession, RoundEnd, Settled, Steering } from './phase.js'

/** How often a round is sent at least while the run is held. */
const HELD_INTERVAL_MS = 1000
/** A helper that is gone ends the rounds by itself within this time. */
const LOST_MS = 1000

/** Memory and device state are sent while the devices run, round by round, until what remains fits the limit. */
export const preCopy: Phase = {
  name: 'pre-copy',
  async run(session, steering) {
    const { onNotConverged } = session.profile.migration
    // Hooks may take their time, and what is written meanwhile must not wait for the blackout: rounds go on.
    const held = steering.holdsAt('before-cutover') || steering.hasHooks('pre-cutover')
    const reply = await (held ? heldPreCopy(session, steering) : freePreCopy(session, steering))
    if (session.destination?.alive === false) throw destinationLostError()
    session.state.precopy = reply
    if (onNotConverged === 'cancel' && !fits(reply, limitUs(steering))) {
      throw notConvergedError(reply, limitUs(steering))
    }
  },
  undo: putBack,
}

function call(session: RunSession, steering: Steering, hold?: PrecopyParams['hold']) {
  const { migration } = session.profile
  const { bandwidth, downtimeLimitMs } = steering.limits
  const { hooksUs } = pausesOf(session.profile, steering)
  return {
    side: 'source',
    op: 'precopy',
    params: {
      ...migration.precopy,
      downtimeLimitMs,
      fixedBlackoutUs: session.plan.forecast.fixedBlackoutUs,
      verify: migration.verify === 'full',
      ...(bandwidth !== null && { bandwidth: bandwidth.toString() }),
      ...(hold !== undefined && { hold }),
      ...(hooksUs !== undefined && { hooksUs }),
    },
    text:
      hold === undefined
        ? `send the memory until the rest fits ${duration(downtimeLimitMs * 1000)}`
        : 'send the memory, then what is re-dirtied, until the run is continued',
  } as const
}

/** A destination that ferry has lost keeps the run for a while, and takes rounds: the source is told to end them. */
async function freePreCopy(session: RunSession, steering: Steering): Promise<PrecopyReply> {
  const rounds = session.background(call(session, steering))
  const { destination } = session
  const over = rounds.then(() => true)
  const lost = destination?.ended?.then(() => session.pause(LOST_MS)).then(() => false)
  const ended = await (lost === undefined ? over : Promise.race([over, lost]))
  if (!ended) await endRounds(session, rounds)
  const settled = await rounds
  if (
    destination?.alive === false &&
    (settled.ok || settled.error.code === 'run/cancelled') &&
    !session.cancelAsked
  )
    throw destinationLostError()
  if (!settled.ok) throw fromHelperError(settled.error, { side: 'source' })
  return settled.reply
}

function destinationLostError(): FerryError {
  return new FerryError({
    code: 'helper/died',
    exit: EXIT.error,
    message: "the connection to the destination's helper was lost in pre-copy",
    side: 'destination',
  })
}

/**
 * Rounds go on until the run is continued: by `ferry cutover` or the watchdog where it is held, else as soon as the rest
 * fits or the bounds are reached. Then the pre-cutover hooks, still with rounds, then `proceed`.
 */
async function heldPreCopy(session: RunSession, steering: Steering): Promise<PrecopyReply> {
  const { onNotConverged, precopy } = session.profile.migration
  const ended = session.background(call(session, steering, { intervalMs: HELD_INTERVAL_MS }))
  const over = { yes: false }
  const roundsOver = ended.then(() => {
    over.yes = true
  })
  try {
    const enough = (round: RoundEnd): boolean =>
      round.expectedUs <= limitUs(steering) || round.round >= precopy.maxRounds
    await Promise.race([roundsOver, steering.round(enough, precopy.maxTimeMs)])
    if (!over.yes && steering.holdsAt('before-cutover')) {
      await Promise.race([roundsOver, steering.hold('before-cutover')])
    }
    if (!over.yes) {
      const last = steering.lastRound
      if (onNotConverged === 'cancel' && (last === null || last.expectedUs > limitUs(steering))) {
        throw doesNotFitError(last, limitUs(steering))
      }
      await steering.hooks('pre-cutover')
    }
    if (!over.yes) {
      const text = 'end the rounds: the cutover is next'
      await session.step({ side: 'source', op: 'proceed', params: {}, text })
    }
  } catch (error) {
    await endRounds(session, ended)
    throw error
  }
  const settled = await ended
  if (!settled.ok) throw fromHelperError(settled.error, { side: 'source' })
  return settled.reply
}

/** Nothing else is taken from the source's helper while rounds go on. */
async function endRounds(session: RunSession, ended: Promise<Settled<PrecopyReply>>): Promise<void> {
  if (!session.cancelAsked) {
    try {
      await session.step({ side: 'source', op: 'cancel', params: {}, text: 'end the rounds' })
    } catch {
      // A helper that is gone has ended them.
    }
  }
  await ended
}

function limitUs({ limits }: Steering): number {
  return limits.downtimeLimitMs * 1000
}

/** Whether what remains can be moved within the limit, by the helper's own estimate. */
function fits(reply: PrecopyReply, limit: number): boolean {
  return reply.reason === 'converged' || reply.estimatedBlackoutUs <= limit
}

function notConvergedError(reply: PrecopyReply, limit: number): FerryError {
  const bound = {
    rounds: `${reply.rounds} rounds`,
    time: 'the time allowed',
    converged: `${reply.rounds} rounds`,
    released: 'the run was continued',
  }[reply.reason]
  return downtimeLimitError(
    `after ${bound}, ${plainSize(BigInt(reply.remainingBytes))} remain: moving them would stop the devices ` +
      `for about ${duration(reply.estimatedBlackoutUs)}, and the limit is ${duration(limit)}`,
  )
}

function doesNotFitError(last: RoundEnd | null, limit: number): FerryError {
  return downtimeLimitError(
    last === null
      ? 'not one round ended in the time allowed, so the blackout cannot be told'
      : `after ${last.round} rounds, moving the rest would stop the devices for about ` +
          `${duration(last.expectedUs)}, and the limit is ${duration(limit)}`,
  )
}

function downtimeLimitError(message: string): FerryError {
  return new FerryError({
    code: 'limit/not-converged',
    exit: EXIT.downtimeLimit,
    message,
    suggestions: [
      'let the devices write less, allow more with --downtime-limit, --max-rounds or --max-time, or go ahead ' +
        'with --on-not-converged cutover (the limit still holds)',
    ],
  })
}
