/** Inventories for planner tests. */
import { buildInventory } from '../../src/inventory/eligibility.js'
import type { Inventory } from '../../src/inventory/inventory.js'
import type { DeviceFacts, HostFacts } from '../../src/protocol/protocol.js'
import { makePlan, type PlanOptions } from '../../src/plan/make-plan.js'
import type { Plan } from '../../src/plan/plan.js'
import type { Profile } from '../../src/profile/profile.js'
import { reply, simulated } from '../inventory/fixtures.js'

export function inventory(devices: readonly DeviceFacts[], over: Partial<HostFacts> = {}): Inventory {
  return buildInventory(reply(devices, over))
}

/** The simulated devices of a profile as the helper of that side lists them. */
export function simFacts(profile: Profile, side: 'source' | 'destination'): DeviceFacts[] {
  return profile.devices.flatMap((device) => {
    const ref = device[side]
    return ref.kind === 'sim' ? [simulated(device.name, ref.sim.model)] : []
  })
}

/** A plan over real devices (given per side) and whatever the profile simulates. */
export function plan(
  profile: Profile,
  source: readonly DeviceFacts[] = [],
  destination: readonly DeviceFacts[] = source,
  over: {
    source?: Partial<HostFacts>
    destination?: Partial<HostFacts>
    options?: Partial<PlanOptions>
  } = {},
): Plan {
  return makePlan(
    profile,
    inventory([...source, ...simFacts(profile, 'source')], over.source),
    inventory([...destination, ...simFacts(profile, 'destination')], over.destination),
    { stateDir: '/state', ...over.options },
  )
}

export function blockers(of: Plan): string[] {
  return of.blockers.map((blocker) => blocker.code)
}
export function warnings(of: Plan): string[] {
  return of.warnings.map((warning) => warning.code)
}
