/** Both sides claim their devices, make the memory, open, map and pin; then the two helpers meet. */
import { meetingOf, sourceAddress } from '../link/data-connection.js'
import { formatListen } from '../profile/schema/address.js'
import { putBack } from './rollback.js'
import { runPlanned, type Helper, type Phase, type RunSession, type Steering } from './phase.js'

export const pin: Phase = {
  name: 'pin',
  async run(session, steering) {
    await runPlanned(session, 'pin')
    if (session.destination !== null) await meet(session, steering, session.destination)
  },
  async undo(session) {
    await putBack(session)
    await session.undoSteps('pin')
  },
}

async function meet(session: RunSession, steering: Steering, destination: Helper): Promise<void> {
  const { profile, source, step } = session
  const { address, port } = profile.destination.listen
  const { encrypt, maxStreams } = profile.transport
  const meeting = meetingOf(profile)
  const route = (address: string) =>
    step({ side: 'source', op: 'route', params: { address }, text: `ask which address leads to ${address}` })
  const from = await sourceAddress(profile, async (address) => (await route(address)).from)
  const listening = await step({
    side: 'destination',
    op: 'listen',
    params: meeting.listen(from, source.helloReply.fingerprint),
    text: `listen on ${profile.destination.interface ?? address}:${port === 0 ? '(a free port)' : port}`,
  })
  session.state.receive = session.background({
    side: 'destination',
    op: 'receive',
    params: {},
    text: 'receive the workload',
  })
  const target = formatListen(listening)
  await step({
    side: 'source',
    op: 'connect',
    params: meeting.connect(listening, steering.limits.streams, destination.helloReply.fingerprint),
    text: `connect to ${target}${maxStreams > 1 ? ` ${maxStreams} times` : ''}${encrypt ? ', encrypted' : ', integrity: none'}`,
  })
}
