/** What no shape can say about who has the devices before and after a run. */
import { SOCKET_PATH_BYTES } from '../../limits.js'
import { posix } from 'node:path'
import { sameHost, type DestinationInput, type SourceInput } from './hosts.js'
import type { ProfileFinding } from '../findings/finding.js'

/** A state folder has one holder of a workload at a time; a run that keeps both sides' would make two. */
export function checkHolders(
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
  releaseSource: 'on-commit' | 'by-hand' | null | undefined,
): ProfileFinding[] {
  if (source === undefined || destination === undefined || releaseSource === undefined) return []
  const kept = source.from === 'holder' || releaseSource === 'by-hand'
  if (!kept || destination.then !== 'hold' || !sameHost(source, destination)) return []
  if (folder(source.stateDir) !== folder(destination.stateDir)) return []
  const why = source.from === 'holder' ? 'the source has a holder' : 'the source is released by hand'
  return [
    {
      code: 'profile/hold',
      path: ['destination', 'then'],
      found: `${why}, and the destination would be a second holder of this workload in one state folder`,
      remedy: 'give the two sides different folders with stateDir, or write then: close or exec',
    },
  ]
}

// That a path is too long would be found out only when the socket is made.
const RUN_SOCKET = '/sockets/20261122T151733-4f2a-destination.sock'

/** Whether the helper's sockets in the state folders, of a run and of a holder, can have their names. */
export function checkSockets(
  source: SourceInput | undefined,
  destination: DestinationInput | undefined,
  name: unknown,
): ProfileFinding[] {
  const holder = typeof name === 'string' ? `/holders/${name}.sock` : ''
  const below = Math.max(RUN_SOCKET.length, Buffer.byteLength(holder))
  return [
    { side: 'source', host: source } as const,
    { side: 'destination', host: destination } as const,
  ].flatMap(({ host, side }) => {
    const { stateDir = null } = host ?? {}
    const over = Buffer.byteLength(stateDir ?? '') + below - SOCKET_PATH_BYTES
    if (stateDir === null || over <= 0) return []
    return [
      {
        code: 'profile/path' as const,
        path: [side, 'stateDir'],
        found: `the ${side}'s sockets would have a path of more than ${SOCKET_PATH_BYTES} bytes, which is all a unix socket has`,
        label: `${over} byte${over === 1 ? '' : 's'} too long`,
        remedy:
          below > RUN_SOCKET.length
            ? 'give a shorter folder, or the profile a shorter name'
            : 'give a shorter folder',
      },
    ]
  })
}

/** null: the default of that host, whatever it is. */
function folder(stateDir: string | null): string | null {
  return stateDir === null ? null : posix.resolve(stateDir)
}
