import { holderSocket, RUN_ID } from '../plan/sockets.js'
import type { Plan } from '../plan/plan.js'
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { SideAddress, SideAddresses } from '../journal/event.js'

/** The folder that holds a side's records, sockets and holders, as the plan's claim has it. */
export function stateDirIn(plan: Plan, side: Role): string | null {
  for (const step of plan.steps) {
    if (step.op === 'claim' && step.side === side) return step.params.recordDir.replace(/\/records$/u, '')
  }
  return null
}

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
  for (const step of plan.steps) {
    if (step.op !== 'claim' || step.side !== side) continue
    const { recordDir, socket } = step.params
    const own = socket.replace(RUN_ID, run)
    const holder = holderSocket(recordDir.replace(/\/records$/u, ''), profile.name)
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
  return undefined
}
