/** Where hooks run inside the blackout. */
import { BLACKOUT_POINTS } from '../points.js'
import type { CutoverPause } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import type { Steering } from './phase.js'

export interface Pauses {
  readonly pauses?: readonly CutoverPause[]
  /** How long the hooks at them may take together; it is part of every forecast. */
  readonly hooksUs?: number
}

/** Nothing for a run without such hooks. */
export function pausesOf(profile: Profile, steering: Steering): Pauses {
  const pauses = BLACKOUT_POINTS.filter((at) => steering.hasHooks(at))
  if (pauses.length === 0) return {}
  const hooks = profile.hooks.filter(({ at }) => pauses.some((pause) => pause === at))
  return { pauses, hooksUs: hooks.reduce((sum, { timeoutMs }) => sum + timeoutMs * 1000, 0) }
}
