/** Points of a run at which something may happen. */

/** In the order a run comes to them. */
export const HOOK_POINTS = [
  'pre-pin',
  'post-pin',
  'post-dirty-log',
  'pre-cutover',
  'post-quiesce',
  'post-stop',
  'pre-resume',
  'post-commit',
  'post-rollback',
] as const
/** A point of a run at which commands may run. */
export type HookPoint = (typeof HOOK_POINTS)[number]

/** Points at which the devices stand still. */
export const BLACKOUT_POINTS = [
  'post-quiesce',
  'post-stop',
  'pre-resume',
] as const satisfies readonly HookPoint[]

/** Points after which there is nothing left to undo. */
export const FINAL_POINTS = ['post-commit', 'post-rollback'] as const satisfies readonly HookPoint[]

/** Points at which a run can be held until a person continues it. */
export const HOLD_POINTS = ['after-pin', 'after-dirty-log', 'before-cutover'] as const
export type HoldPoint = (typeof HOLD_POINTS)[number]
