import { claimOf, holderSocket, RUN_ID, stateDirOf } from '../plan/sockets.js'
import type { Plan } from '../plan/plan.js'
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { SideAddress, SideAddresses } from '../journal/event.js'

/** Where both sides of a run are, for those who come after the ferry that started it; none for a plan of one side. */
export function sideAddresses(profile: Profile, plan: Plan, run: string): SideAddresses | undefined {
  const source = address('source', profile, plan, run)
  const destination = address('destination', profile, plan, run)
  if (source === undefined || destination === undefined) return undefined
  return {
    source,
    destination,
    then: profile.destination.then,
    releaseSource: profile.releaseSource,
    workload: profile.name,
    handOut: profile.handOut,
  }
}

function address(side: Role, profile: Profile, plan: Plan, run: string): SideAddress | undefined {
  const claim = claimOf(plan, side)
  if (claim === undefined) return undefined
  const { recordDir } = claim.params
  const own = claim.params.socket.replace(RUN_ID, run)
  const holder = holderSocket(stateDirOf(claim), profile.name)
  const { become, helper, host, stateDir } = profile[side]
  const ofSource = profile.source.from === 'holder' ? [holder] : [own]
  return {
    host: { become, helper, host, stateDir },
    // A source that was a holder stays one; a destination becomes one at the end, if at all.
    sockets: side === 'source' ? ofSource : [own, holder],
    recordDir,
    devices: profile.devices.map((device) => device.name),
  }
}
