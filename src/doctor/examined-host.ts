import { DEFAULT_KEEPALIVE_MS } from '../limits.js'
import type { Role } from '../protocol/protocol.js'
import type { HostSpec, Profile } from '../profile/profile.js'
import { needOf, UNSAID, type Need } from './need.js'

/** A host to look at, and what is wanted of it. */
export interface ExaminedHost {
  readonly spec: HostSpec
  readonly sides: readonly Role[]
  readonly need: Need
  /** Interface that data is to arrive at; null: the profile names none. */
  readonly interface: string | null
  readonly keepaliveMs: number
}

/** A host somebody named. */
export function examinedHost(host: string, become: 'sudo' | null): ExaminedHost {
  return {
    spec: { host, helper: null, become, stateDir: null },
    sides: [],
    need: UNSAID,
    interface: null,
    keepaliveMs: DEFAULT_KEEPALIVE_MS,
  }
}

/** The hosts of a profile: two, or one that is both sides in the same way. */
export function examinedHosts(profile: Profile): readonly ExaminedHost[] {
  const { destination, source, transport } = profile
  const same = (['host', 'helper', 'become', 'stateDir'] as const).every(
    (key) => source[key] === destination[key],
  )
  const examined = (spec: HostSpec, sides: readonly Role[]): ExaminedHost => ({
    spec: { host: spec.host, helper: spec.helper, become: spec.become, stateDir: spec.stateDir },
    sides,
    need: needOf(profile, sides),
    interface: sides.includes('destination') ? destination.interface : null,
    keepaliveMs: transport.keepaliveMs,
  })
  if (same) return [examined(source, ['source', 'destination'])]
  return [examined(source, ['source']), examined(destination, ['destination'])]
}
