/** Both sides claim their devices, make the memory, open, map and pin; then the two helpers meet. */
import { randomBytes } from 'node:crypto'
import type { ListenReply } from '../link/protocol.js'
import type { HostSpec } from '../profile/profile.js'
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

/**
 * The destination listens, the source connects. Each is told the other's certificate, and a secret that reached it
 * through its stdin only, so nobody else on the network can take either's place.
 */
async function meet(context: PhaseContext, destination: Helper): Promise<void> {
  const { profile, source } = context
  const { address, port } = profile.destination.listen
  const { encrypt, keepaliveMs, maxStreams, streams } = profile.transport
  const secret = randomBytes(32).toString('hex')
  const common = {
    encrypt,
    keepaliveMs,
    streams: maxStreams,
    secret,
    linkTimeoutMs: profile.migration.linkTimeoutMs,
  }
  const listening = await context.step({
    side: 'destination',
    op: 'listen',
    params: { ...common, address, port, from: null, peer: source.helloReply.fingerprint },
    text: `listen on ${address}:${port === 0 ? '(a free port)' : port}`,
  })
  context.state.receive = context.background({
    side: 'destination',
    op: 'receive',
    params: {},
    text: 'receive the workload',
  })
  const target = reachable(listening, profile.destination)
  await context.step({
    side: 'source',
    op: 'connect',
    params: {
      ...common,
      address: target,
      port: listening.port,
      peer: destination.helloReply.fingerprint,
      bind: profile.source.address,
      use: streams,
    },
    text: `connect to ${target}:${listening.port}${common.encrypt ? ', encrypted' : ''}`,
  })
}

/** A helper that listens on every address is reached by the name its host is known by. */
export function reachable(listening: ListenReply, destination: HostSpec): string {
  if (listening.address !== '0.0.0.0' && listening.address !== '::') return listening.address
  if (destination.host === 'local') return listening.address === '::' ? '::1' : '127.0.0.1'
  return destination.host.slice(destination.host.lastIndexOf('@') + 1)
}
