/** What no shape can say about hosts and the connection between them. */
import type { z } from 'zod'
import { formatListen, isLoopback, isWildcard, type ListenAddress } from './address.js'
import type { Finding } from './finding.js'
import type { destinationSchema, sourceSchema, transportSchema } from './schema.js'

type Source = z.output<typeof sourceSchema>
type Destination = z.output<typeof destinationSchema>

export const LOCAL_LISTEN: ListenAddress = { address: '127.0.0.1', port: 0 }

/** Both sides are on one host, as far as names can tell. */
export function sameHost(source: Source | undefined, destination: Destination | undefined): boolean {
  return source !== undefined && source.host === destination?.host
}

export function checkHosts(source: Source | undefined, destination: Destination | undefined): Finding[] {
  if (source === undefined || destination === undefined || sameHost(source, destination)) {
    return wildcard(destination)
  }
  const path = ['destination', 'listen']
  if (destination.listen === undefined) {
    return [
      {
        code: 'profile/missing-key',
        path: ['destination'],
        at: 'key',
        message: 'destination needs `listen` when it is another host than the source',
        help: 'the IP address of the destination that the source can reach, e.g. listen: 192.0.2.7:0',
      },
    ]
  }
  if (isLoopback(destination.listen.address)) {
    return [
      {
        code: 'profile/listen',
        path,
        message: `the source cannot reach ${formatListen(destination.listen)} of another host`,
        label: 'a loopback address',
        help: 'give an address of the destination that the source can reach',
      },
    ]
  }
  return wildcard(destination)
}

function wildcard(destination: Destination | undefined): Finding[] {
  if (destination?.listen === undefined || !isWildcard(destination.listen.address)) return []
  return [
    {
      code: 'profile/listen',
      path: ['destination', 'listen'],
      message: `the source cannot connect to ${destination.listen.address}`,
      label: 'every address of the host',
      help: 'name the one address the source connects to',
    },
  ]
}

export function checkTransport(transport: z.output<typeof transportSchema> | undefined): Finding[] {
  if (transport === undefined || transport.streams === 1) return []
  return [
    {
      code: 'profile/streams',
      path: ['transport', 'streams'],
      message: `${transport.streams} streams are not available yet`,
      label: 'only 1 for now',
    },
  ]
}
