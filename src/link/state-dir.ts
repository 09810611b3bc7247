import type { HostSpec } from '../profile/profile.js'
import type { HelloReply } from '../protocol/protocol.js'

/**
 * The folder of records, sockets and holders on a side's host: the profile's, else --state-dir on this host, else the
 * helper's own choice there.
 */
export function stateDirOf(
  client: { readonly helloReply: Pick<HelloReply, 'stateDir'> },
  spec: Pick<HostSpec, 'host' | 'stateDir'>,
  own: string,
): string {
  return spec.stateDir ?? (spec.host === 'local' ? own : client.helloReply.stateDir)
}
