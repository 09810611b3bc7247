/** The destination runs. What is left is to prove that nothing was lost, and to let both sides go. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf, fromHelperError } from '../link/helper-error.js'
import { isLost } from '../link/link-error.js'
import type { CheckReply, HelperErrorBody, ReceiveReply } from '../protocol/protocol.js'
import { claimOf, holderSocket, stateDirOf } from '../plan/sockets.js'
import type { Phase, RunSession, Settled } from './phase.js'
import { settle } from './settle.js'

/** After RUNNING the destination's own account follows at once; longer than this means it will not come. */
const RECEIVE_WAIT_MS = 30_000

export const commit: Phase = {
  name: 'commit',
  async run(session) {
    await destinationRuns(session)
    if (session.profile.devices.some((device) => device.destination.kind === 'sim'))
      await checkWrites(session)
    await askResident(session)
    await settleDestination(session)
    await releaseSource(session)
  },
  // Nothing is undone once the destination runs.
  undo: async () => undefined,
}

async function destinationRuns({ state, pause }: RunSession): Promise<void> {
  if (state.receive === null) return
  const timedOut: Settled<ReceiveReply> = {
    ok: false,
    error: {
      code: 'helper/no-reply',
      message: 'the source reports the destination running, and the destination does not confirm it',
    },
  }
  const received = await Promise.race([state.receive, pause(RECEIVE_WAIT_MS).then(() => timedOut)])
  if (!received.ok) throw fromHelperError(received.error, { exit: EXIT.needsPerson, side: 'destination' })
  if (received.reply.outcome === 'running') return
  throw new FerryError({
    code: 'peer/outcome',
    exit: EXIT.sidesDisagree,
    message: `the source reports the destination running, the destination reports ${received.reply.outcome}${
      received.reply.reason === undefined ? '' : ` (${received.reply.reason})`
    }`,
    suggestions: [
      'leave both sides as they are and look at both helpers’ records before anything is started',
    ],
  })
}

async function checkWrites({ step }: RunSession): Promise<void> {
  const reply = await step({
    side: 'destination',
    op: 'check',
    params: {},
    text: 'replay every write of the simulated devices and compare the memory',
  })
  if (reply.lostPages > 0) throw lostPagesError(reply)
}

function lostPagesError(reply: CheckReply): FerryError {
  const first = reply.lost.slice(0, 4).map((page) => `${page.iova} (${page.device})`)
  return new FerryError({
    code: 'verify/lost-pages',
    exit: EXIT.needsPerson,
    message: `${reply.lostPages} of ${reply.pages} pages lost a write during the move, first ${first.join(', ')}`,
    suggestions: [
      'do not use the destination: its memory is wrong; the source still holds the right pages, stopped',
    ],
  })
}

/**
 * The destination runs; what becomes of its devices comes before the source closes its own. A destination that is
 * gone by now is asked all the same, and so fails: the source may be all there is left of the workload.
 */
async function settleDestination(session: RunSession): Promise<void> {
  const { destination, profile, step } = session
  if (destination === null) return
  const claim = claimOf(session.plan, 'destination')
  if (claim === undefined) return
  await settle(step, {
    then: profile.destination.then,
    workload: profile.name,
    socket: holderSocket(stateDirOf(claim), profile.name),
    handOut: profile.handOut,
  })
}

/** For the report: what each helper held besides the workload. Not knowing it changes nothing. */
async function askResident({ destination, source, state, step }: RunSession): Promise<void> {
  for (const helper of [source, destination]) {
    if (helper === null || !helper.alive) continue
    try {
      await step({ side: helper.side, op: 'status', params: {}, text: `ask how the ${helper.side} stands` })
    } catch (error) {
      state.problems.push(errorBodyOf(error))
    }
  }
}

/** Past COMMIT a helper that lost us stays, with its devices stopped, until somebody says so. */
const NOT_RELEASED: HelperErrorBody = {
  code: 'source/not-released',
  message: 'the source may still have its devices: the connection to its helper is lost',
  suggestion: 'if the helper is still there, `ferry release RUN` closes them',
}

/** The source keeps its devices, stopped, until somebody says so: `ferry release` comes later. */
async function releaseSource({ profile, source, state, step }: RunSession): Promise<void> {
  if (profile.releaseSource === 'by-hand') return
  if (!source.alive) {
    state.problems.push(NOT_RELEASED)
    return
  }
  try {
    await step({ side: 'source', op: 'release', params: {}, text: 'release the source' })
  } catch (error) {
    // A failure to close the devices does not change the outcome.
    const body = errorBodyOf(error)
    state.problems.push(body)
    // What ended may have been ssh, or what leads to a holder.
    if (isLost(body)) state.problems.push(NOT_RELEASED)
  }
}
