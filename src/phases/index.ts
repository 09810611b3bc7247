/** The phases of a move, in their order. `rollback` is not one of them: the runner turns to it when one fails. */
import type { PhaseName } from '../plan/plan.js'
import type { HoldPoint } from '../profile/profile.js'
import type { HookPoint } from '../points.js'
import { commit } from './commit.js'
import { cutover } from './cutover.js'
import { dirtyLog } from './dirty-log.js'
import { pin } from './pin.js'
import type { Phase } from './phase.js'
import { preCopy } from './pre-copy.js'

export const PHASES: readonly Phase[] = [pin, dirtyLog, preCopy, cutover, commit]

/** What a run does around a phase besides it. Hooks before and after the others are their own business. */
export const AROUND: Readonly<
  Partial<
    Record<PhaseName, { readonly before?: HookPoint; readonly after?: HookPoint; readonly hold?: HoldPoint }>
  >
> = {
  pin: { before: 'pre-pin', after: 'post-pin', hold: 'after-pin' },
  'dirty-log': { after: 'post-dirty-log', hold: 'after-dirty-log' },
}

export { measureDirt } from './dirty-log.js'
export { pin } from './pin.js'
export { rollback } from './rollback.js'
export type {
  Call,
  Helper,
  Limits,
  Phase,
  RunSession,
  RoundEnd,
  RunState,
  Settled,
  Steering,
} from './phase.js'
