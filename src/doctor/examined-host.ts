import type { Role } from '../protocol/protocol.js'
import type { HostSpec, Profile } from '../profile/profile.js'
import { needOf, UNSAID, type Need } from './need.js'

/** A host to look at, and what is wanted of it. */
export interface Seat {
  readonly spec: HostSpec
  readonly sides: readonly Role[]
  readonly need: Need
  /** Interface that data is to arrive at; null: the profile names none. */
  readonly interface: string | null
  readonly keepaliveMs: number
}

const KEEPALIVE_MS = 6000

/** A host somebody named. */
export function seatOfHost(host: string, become: 'sudo' | null): Seat {
  return {
    spec: { host, helper: null, become, stateDir: null },
    sides: [],
    need: UNSAID,
    interface: null,
    keepaliveMs: KEEPALIVE_MS,
  }
}

/** The hosts of a profile: two, or one that is both sides in the same way. */
export function seatsOfProfile(profile: Profile): readonly Seat[] {
  const { destination, source, transport } = profile
  const same = (['host', 'helper', 'become', 'stateDir'] as const).every(
    (key) => source[key] === destination[key],
  )
  const seat = (spec: HostSpec, sides: readonly Role[]): Seat => ({
    spec: { host: spec.host, helper: spec.helper, become: spec.become, stateDir: spec.stateDir },
    sides,
    need: needOf(profile, sides),
    interface: sides.includes('destination') ? destination.interface : null,
    keepaliveMs: transport.keepaliveMs,
  })
  if (same) return [seat(source, ['source', 'destination'])]
  return [seat(source, ['source']), seat(destination, ['destination'])]
}
