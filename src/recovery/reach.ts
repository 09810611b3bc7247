/** How `recover`, `release` and `hold` come to helpers that stayed. */
import { DEFAULT_KEEPALIVE_MS } from '../limits.js'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { HelperClient } from '../link/client.js'
import { openHelper, stateDirOf } from '../link/open.js'
import { holderSocket } from '../plan/sockets.js'
import { loadProfile } from '../profile/load.js'
import type { HelperEvent, Role } from '../protocol/protocol.js'
import type { SideAddress } from '../journal/event.js'
import type { Reach } from './sides.js'
import { releaseHolder, type Released } from './release.js'

export interface ReachOptions {
  readonly stateDir: string
  /** --helper; for helpers on this host. */
  readonly helper: string | undefined
  readonly root: string
  /** What the helpers say meanwhile. */
  readonly onEvent?: (side: Role, event: HelperEvent) => void
}
/** No helper answers at that socket: it has ended. */
const NOBODY = 'holder/none'

export function makeReach({ helper, onEvent, root }: ReachOptions): Reach {
  const options = { helper, root, keepaliveMs: DEFAULT_KEEPALIVE_MS }
  return {
    async attach(side: Role, address: SideAddress, socket: string): Promise<HelperClient | null> {
      try {
        const told = (event: HelperEvent): void => onEvent?.(side, event)
        return await openHelper(address.host, { ...options, side, attach: socket, onEvent: told })
      } catch (error) {
        if (error instanceof FerryError && error.code === NOBODY) return null
        throw error
      }
    },
    open: (side, address) => openHelper(address.host, { ...options, side }),
  }
}

/** Closes the holder of a profile's workload on one of its sides. */
export async function releaseHeld(
  file: string,
  sets: readonly string[],
  options: ReachOptions,
  side: Role = 'source',
): Promise<Released> {
  const profile = await loadProfile(file, { sets })
  const spec = profile[side]
  const { helper, root, stateDir } = options
  const common = { side, helper, root, keepaliveMs: profile.transport.keepaliveMs }
  let folder = spec.stateDir ?? (spec.host === 'local' ? stateDir : null)
  if (folder === null) {
    const asked = await openHelper(spec, common)
    folder = stateDirOf(asked, spec, stateDir)
    await asked.close()
  }
  let client: HelperClient
  try {
    client = await openHelper(spec, { ...common, attach: holderSocket(folder, profile.name) })
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== NOBODY) throw error
    throw new FerryError({
      code: NOBODY,
      exit: EXIT.error,
      message: `no holder for ${profile.name} on ${spec.host === 'local' ? 'this host' : spec.host}`,
      suggestions: [
        '`ferry hold PROFILE` starts one; --side destination means the other side of the profile',
      ],
    })
  }
  try {
    return await releaseHolder(profile.name, client)
  } finally {
    await client.close()
  }
}
