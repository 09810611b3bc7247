/** What no shape can say about the two hosts and the addresses between them. */
import { isIP } from 'node:net'
import type * as z from 'zod'
import { formatListen, isLoopback, isWildcard, splitHost, type ListenAddress } from '../schema/address.js'
import type { ProfileFinding } from '../findings/finding.js'
import type { destinationSchema, sourceSchema } from '../schema/host.js'

export type SourceInput = z.output<typeof sourceSchema>
export type DestinationInput = z.output<typeof destinationSchema>

export const LOCAL_LISTEN: ListenAddress = { address: '127.0.0.1', port: 0 }

/** Both sides are on one host, as far as names can tell; who logs in there does not matter. */
export function sameHost(
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
): boolean {
  if (source === undefined || destination === undefined) return false
  if (source.host === destination.host) return true
  if (source.host === 'local' || destination.host === 'local') return false
  const [a, b] = [splitHost(source.host), splitHost(destination.host)]
  return a.name.toLowerCase() === b.name.toLowerCase() && a.port === b.port
}

export function checkHosts(
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
): ProfileFinding[] {
  const known = source !== undefined && destination !== undefined
  return [
    ...becomes('source', source),
    ...becomes('destination', destination),
    ...checkListen(destination, known && !sameHost(source, destination)),
    ...(source === undefined ? [] : checkAddress(source, destination)),
  ]
}

function becomes(side: string, host: SourceInput | DestinationInput | undefined): ProfileFinding[] {
  if (host?.become !== 'sudo' || host.host !== 'local') return []
  return [
    {
      code: 'profile/become',
      path: [side, 'become'],
      found: 'the helper on this host runs as the user of ferry',
      label: 'only for another host',
      remedy: 'drop it, and run ferry itself with sudo where root is needed',
    },
  ]
}

function checkListen(destination: DestinationInput | undefined, apart: boolean): ProfileFinding[] {
  if (destination === undefined) return []
  const { interface: name, listen } = destination
  const path = ['destination', 'listen']
  if (listen !== undefined && name !== null) {
    return [
      {
        code: 'profile/exactly-one',
        path: ['destination', 'interface'],
        found: 'destination has both `listen` and `interface`',
        label: `\`listen\` says ${formatListen(listen)}`,
        remedy: 'the address, or the interface that has it: drop one of the two',
      },
    ]
  }
  if (listen === undefined) {
    if (!apart || name !== null) return []
    return [
      {
        code: 'profile/missing-key',
        path: ['destination'],
        at: 'key',
        found: 'destination needs `listen` or `interface` when it is another host than the source',
        remedy: 'the IP address of the destination that the source can reach, e.g. listen: 192.0.2.7:0',
      },
    ]
  }
  if (isWildcard(listen.address)) {
    return [
      {
        code: 'profile/listen',
        path,
        found: `the source cannot connect to ${listen.address}`,
        label: 'every address of the host',
        remedy: 'name the one address the source connects to, or its interface',
      },
    ]
  }
  if (!apart || !isLoopback(listen.address)) return []
  return [
    {
      code: 'profile/listen',
      path,
      found: `the source cannot reach ${formatListen(listen)} of another host`,
      label: 'a loopback address',
      remedy: 'give an address of the destination that the source can reach',
    },
  ]
}

/** The address the connections leave from must be one that can reach the other's. */
function checkAddress(source: SourceInput, destination: DestinationInput | undefined): ProfileFinding[] {
  const { address } = source
  if (address === null) return []
  const say = (message: string, help: string): ProfileFinding[] => [
    { code: 'profile/address', path: ['source', 'address'], found: message, remedy: help },
  ]
  if (isWildcard(address)) {
    return say(`nothing can leave from ${address}`, 'name one address of the source, or drop it')
  }
  if (destination === undefined) return []
  if (isLoopback(address) && !sameHost(source, destination)) {
    return say(`${address} reaches no other host`, 'give an address the destination can answer to')
  }
  const to = destination.listen?.address
  if (to === undefined || isWildcard(to) || isIP(to) === isIP(address)) return []
  return say(
    `${address} cannot reach ${to}`,
    `both ends are IPv4, or both are IPv6: give an IPv${isIP(to)} address`,
  )
}
