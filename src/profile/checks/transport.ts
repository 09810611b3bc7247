/** What no shape can say about the data connections: where data in the clear may go, and how many there are. */
import type * as z from 'zod'
import { formatListen, isLoopback } from '../schema/address.js'
import type { DestinationInput, SourceInput } from './hosts.js'
import type { ProfileFinding } from '../findings/finding.js'
import type { transportSchema } from '../schema/host.js'

type TransportInput = z.output<typeof transportSchema>

export function checkTransport(
  transport: TransportInput | undefined,
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
): ProfileFinding[] {
  if (transport === undefined) return []
  return [
    ...checkStreams(transport),
    ...(transport.loopback ? checkLoopback(transport, source, destination) : []),
  ]
}

function checkStreams({ maxStreams, streams }: TransportInput): ProfileFinding[] {
  if (maxStreams === null || maxStreams >= streams) return []
  return [
    {
      code: 'profile/streams',
      path: ['transport', 'maxStreams'],
      found: `${maxStreams} connections cannot carry ${streams} streams`,
      label: `at least ${streams}`,
      remedy: 'maxStreams is what `ferry set RUN streams` can go up to: raise it, or drop it',
    },
  ]
}

/** Data in the clear never leaves this host: both ends are here. */
function checkLoopback(
  transport: TransportInput,
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
): ProfileFinding[] {
  const findings: ProfileFinding[] = []
  if (transport.insecure !== null) {
    findings.push({
      code: 'profile/transport',
      path: ['transport', 'insecure'],
      found: 'a run over loopback needs no reason to be in the clear',
      remedy: '`loopback` for two helpers of this host, `insecure` for a network: drop one of the two',
    })
  }
  const away = [source?.host, destination?.host].find((host) => host !== undefined && host !== 'local')
  if (away !== undefined) {
    findings.push({
      code: 'profile/transport',
      path: ['transport', 'loopback'],
      found: `the loopback of this host does not reach ${away}`,
      label: 'only when both hosts are `local`',
      remedy: 'drop it, and the data is encrypted; or say with `insecure` why it need not be',
    })
  }
  const { interface: name = null, listen } = destination ?? {}
  if (name !== null) {
    findings.push({
      code: 'profile/interface',
      path: ['destination', 'interface'],
      found: `a run over loopback does not use ${name}`,
      remedy: 'drop `interface`, or transport.loopback',
    })
  }
  if (listen !== undefined && !isLoopback(listen.address)) {
    findings.push({
      code: 'profile/transport',
      path: ['destination', 'listen'],
      found: `the data would be in the clear at ${formatListen(listen)}`,
      label: 'not a loopback address',
      remedy: 'listen on 127.0.0.1:0, or drop transport.loopback',
    })
  }
  return findings
}
