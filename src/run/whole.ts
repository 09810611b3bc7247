/** Profile and plan as a journal keeps them, for a ferry that goes on with the run: the profile's file may have changed. */
import type { Plan } from '../plan/plan.js'
import type { Profile } from '../profile/profile.js'

export interface Whole {
  readonly profile: Profile
  readonly plan: Plan
}

/** Inventories are large, and nothing after the planning needs them. */
export function packed(profile: Profile, plan: Plan): string {
  const { choices: _choices, inventories: _inventories, ...rest } = plan
  return JSON.stringify({ profile, plan: rest }, (_key, value: unknown) =>
    typeof value === 'bigint' ? { bigint: value.toString() } : value,
  )
}

export function unpacked(text: string): Whole {
  const { plan, profile } = JSON.parse(text, (_key, value: unknown) =>
    isBig(value) ? BigInt(value.bigint) : value,
  ) as Whole
  return { profile, plan: { ...plan, choices: [] } }
}

function isBig(value: unknown): value is { readonly bigint: string } {
  return typeof value === 'object' && value !== null && 'bigint' in value && typeof value.bigint === 'string'
}
