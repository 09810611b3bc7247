/** What can be said of a plan while one of its two hosts cannot be reached. */
import type { Inventory } from '../inventory/inventory.js'
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { planSide } from './device.js'
import { collect, type Check } from './findings.js'
import { checkSide } from './pairing.js'
import type { Blocker } from './plan.js'

/** The side whose host answered: its devices as the profile names them, each judged by itself. */
export interface OneSide {
  readonly side: Role
  readonly hostname: string
  readonly devices: readonly {
    readonly device: string
    /** BDF, UUID, or a simulated device's name. */
    readonly id: string
    /** Whether it is there and can migrate; null: it could not be asked. */
    readonly migratable: boolean | null
  }[]
  readonly blockers: readonly Blocker[]
  readonly warnings: readonly Blocker[]
}

export function planOneSide(profile: Profile, side: Role, inventory: Inventory): OneSide {
  const planned = profile.devices.map((device) => ({
    name: device.name,
    side: planSide(device, device[side], side, inventory),
  }))
  function* checks(): Check {
    for (const device of planned) yield* checkSide(device, device.side, inventory, 'migrate')
  }
  const { blockers, warnings } = collect(checks())
  return {
    side,
    hostname: inventory.host.hostname,
    devices: planned.map(({ name, side: { device, id } }) => ({
      device: name,
      id,
      migratable: device === null ? false : device.migratable,
    })),
    blockers,
    warnings,
  }
}
