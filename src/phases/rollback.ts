/** Putting everything back: the source's devices RUNNING and checked, the destination without any. */
import { errorBodyOf } from '../link/helper-error.js'
import type { DeviceState, HelperErrorBody, Requests, RollbackReply, Role } from '../protocol/protocol.js'
import type { Helper, Phase, RunSession } from './phase.js'

/**
 * Ends every way back, and every command that only looks: whatever was undone before, the source is rolled back
 * (which repeated is safe), asked for its devices' states, and both sides are released.
 */
export const rollback: Phase = {
  name: 'rollback',
  async run(session) {
    await putBack(session)
    await sourceRuns(session)
    for (const helper of [session.destination, session.source]) {
      if (helper === null || !session.attempted(helper.side, 'claim')) continue
      // A holder goes on holding what it had before the run.
      const keep = helper.side === 'source' && session.profile.source.from === 'holder'
      await attempt(
        session,
        helper,
        'release',
        keep ? 'leave the devices with their holder' : `release the ${helper.side}`,
        keep ? { keep } : {},
      )
    }
  },
  undo: async () => undefined,
}

/**
 * The workload first: the source's devices run again before the destination is told and anything is taken down.
 * Every phase's undo begins with it, and only the first of them sends anything. It must come before the
 * destination is asked to take something down: its helper works off requests one by one, and `receive` ends only
 * when the run is discarded.
 */
export async function putBack(session: RunSession): Promise<void> {
  const { destination, source, state } = session
  for (const helper of [source, destination]) {
    if (helper === null || !session.attempted(helper.side, 'claim')) continue
    // Once each: a second one is sent only by the recovery, which knows what the other side did.
    if (session.attempted(helper.side, 'rollback')) continue
    const params = helper.side === 'source' && state.peerDiscarded ? { peerDiscarded: true } : {}
    const text =
      helper.side === 'source' ? 'bring the devices back to RUNNING' : 'discard what the destination received'
    const reply = await attempt(session, helper, 'rollback', text, params)
    if (reply !== null) judge(session, helper.side, reply)
  }
}

function judge({ state }: RunSession, side: Role, reply: RollbackReply): void {
  state.needsPerson.push(...reply.needsPerson)
  if (side === 'destination') return
  const named = new Set(reply.needsPerson.map((body) => body.device))
  for (const { device, state: found } of reply.devices) {
    if (found !== 'RUNNING' && !named.has(device)) state.needsPerson.push(notRunning(device, found))
  }
}

/** INVARIANT: a run that was not committed ends with every source device seen RUNNING, or named. */
async function sourceRuns(session: RunSession): Promise<void> {
  const { plan, source, state } = session
  if (!session.attempted('source', 'device')) return
  if (!source.alive) {
    const devices = plan.pairs.map((pair) => pair.device).join(', ')
    state.needsPerson.push({
      code: 'source/helper-died',
      message:
        `the source's helper died or was lost while it had ${devices}, and it is not known in which state ` +
        'they are: when it ends the kernel closes them, which resets a device',
      suggestion:
        '`ferry recover` with this run says whether the helper brought them back to RUNNING first; if not, look at ' +
        'them with `ferry devices` on the source, and start the workload again there',
    })
    return
  }
  const status = await attempt(session, source, 'status', 'check that every device is RUNNING')
  if (status === null) {
    state.needsPerson.push({
      code: 'source/not-checked',
      message: 'the source does not say in which states its devices are',
      suggestion: 'look at them with `ferry devices` on the source',
    })
    return
  }
  const named = new Set(state.needsPerson.map((body) => body.device))
  for (const { device, state: found } of status.devices) {
    if (found !== 'RUNNING' && !named.has(device)) state.needsPerson.push(notRunning(device, found))
  }
}

function notRunning(device: string, found: DeviceState): HelperErrorBody {
  return {
    code: 'source/not-running',
    message: `${device} is ${found} on the source after the rollback, not RUNNING`,
    device,
    state: found,
    suggestion: 'reset the device, then start the workload again on the source',
  }
}

/** Null when the helper is gone or refuses; what it said is kept among the problems. */
async function attempt<K extends 'rollback' | 'status' | 'release'>(
  { state, step }: RunSession,
  helper: Helper,
  op: K,
  text: string,
  params: Requests[K]['params'] = {},
): Promise<Requests[K]['reply'] | null> {
  if (!helper.alive) return null
  try {
    return await step({ side: helper.side, op, params, text })
  } catch (error) {
    state.problems.push(errorBodyOf(error))
    return null
  }
}
