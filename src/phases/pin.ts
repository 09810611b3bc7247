/** Both sides claim their devices, make the memory, open, map and pin; then the two helpers meet. */
import { meetingOf, sourceAddress } from '../link/data-connection.js'
import { formatListen } from '../profile/schema/address.js'
import { putBack } from './rollback.js'
import { runPlanned, type Helper, type Phase, type PhaseContext } from './phase.js'

export const pin: Phase = {
  name: 'pin',
  async run(context) {
    await runPlanned(context, 'pin')
    if (context.destination !== null) await meet(context, context.destination)
  },
  async undo(context) {
    await putBack(context)
    await context.undoSteps('pin')
  },
}

async function meet(context: PhaseContext, destination: Helper): Promise<void> {
  const { profile, source, step } = context
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
  context.state.receive = context.background({
    side: 'destination',
    op: 'receive',
    params: {},
    text: 'receive the workload',
  })
  const target = formatListen(listening)
  await step({
    side: 'source',
    op: 'connect',
    params: meeting.connect(listening, context.steering.limits.streams, destination.helloReply.fingerprint),
    text: `connect to ${target}${maxStreams > 1 ? ` ${maxStreams} times` : ''}${encrypt ? ', encrypted' : ''}`,
  })
}
