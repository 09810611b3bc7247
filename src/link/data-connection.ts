/**
 * How the two helpers meet: the destination listens, the source connects. Each is told the other's certificate, and a
 * secret that reached it over its control connection only, so no other host on the network can take the place of either.
 */
import { randomBytes } from 'node:crypto'
import type { Profile } from '../profile/profile.js'
import type { ConnectParams, ListenParams, ListenReply } from '../protocol/protocol.js'

export interface Meeting {
  /** @param from the only address connections are taken from; null: any. @param peer the source's fingerprint. */
  listen(from: string | null, peer: string): ListenParams
  /** @param use how many of the connections carry pages at first. @param peer the destination's fingerprint. */
  connect(listening: ListenReply, use: number, peer: string): ConnectParams
}

export function meetingOf({ destination, migration, source, transport }: Profile): Meeting {
  const { encrypt, keepaliveMs, maxStreams } = transport
  const common = {
    encrypt,
    keepaliveMs,
    streams: maxStreams,
    secret: randomBytes(32).toString('hex'),
    linkTimeoutMs: migration.linkTimeoutMs,
  }
  return {
    listen: (from, peer) => ({
      ...common,
      address: destination.listen.address,
      ...(destination.interface !== null && { interface: destination.interface }),
      port: destination.listen.port,
      from,
      peer,
    }),
    connect: ({ address, port }, use, peer) => ({
      ...common,
      address,
      port,
      bind: source.address,
      use,
      peer,
    }),
  }
}

/**
 * The address the source's connections will come from: the profile's, or what the source's own routes say. Null when
 * neither is known before the destination listens (an address taken from an interface): TLS and the secret still tell.
 *
 * @param route asks the source which of its addresses leads to another.
 */
export async function sourceAddress(
  { destination, source }: Profile,
  route: (address: string) => Promise<string>,
): Promise<string | null> {
  if (source.address !== null) return source.address
  return destination.interface === null ? route(destination.listen.address) : null
}
