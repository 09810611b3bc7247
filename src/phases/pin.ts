/** Both sides claim their devices, make the memory, open, map and pin; then the two helpers meet. */
import { randomBytes } from 'node:crypto'
import { formatListen } from '../profile/address.js'
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
 * over its control connection only, so nobody else on the network can take either's place. Where the source's own
 * address is known the destination takes connections from it alone.
 */
async function meet(context: PhaseContext, destination: Helper): Promise<void> {
  const { profile, source } = context
  const { address, port } = profile.destination.listen
  const listenOn = profile.destination.interface
  const { encrypt, keepaliveMs, maxStreams } = profile.transport
  const common = {
    encrypt,
    keepaliveMs,
    streams: maxStreams,
    secret: randomBytes(32).toString('hex'),
    linkTimeoutMs: profile.migration.linkTimeoutMs,
  }
  const listening = await context.step({
    side: 'destination',
    op: 'listen',
    params: {
      ...common,
      address,
      ...(listenOn !== null && { interface: listenOn }),
      port,
      from: await sourceAddress(context),
      peer: source.helloReply.fingerprint,
    },
    text: `listen on ${listenOn ?? address}:${port === 0 ? '(a free port)' : port}`,
  })
  context.state.receive = context.background({
    side: 'destination',
    op: 'receive',
    params: {},
    text: 'receive the workload',
  })
  const target = formatListen(listening)
  await context.step({
    side: 'source',
    op: 'connect',
    params: {
      ...common,
      address: listening.address,
      port: listening.port,
      bind: profile.source.address,
      use: context.steering.limits.streams,
      peer: destination.helloReply.fingerprint,
    },
    text: `connect to ${target}${maxStreams > 1 ? ` ${maxStreams} times` : ''}${encrypt ? ', encrypted' : ''}`,
  })
}

/**
 * The address the source's connections will come from: the profile's, or what the source's own routes say. Null when
 * neither is known before the destination listens (an address taken from an interface): TLS and the secret still tell.
 */
async function sourceAddress({ profile, step }: PhaseContext): Promise<string | null> {
  const { interface: listenOn, listen } = profile.destination
  if (profile.source.address !== null) return profile.source.address
  if (listenOn !== null) return null
  const { from } = await step({
    side: 'source',
    op: 'route',
    params: { address: listen.address },
    text: `ask which address leads to ${listen.address}`,
  })
  return from
}
