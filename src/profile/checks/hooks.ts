/** What no shape can say about hooks: where one may stand still with the devices, and what its failure can mean. */
import { duplicates, type Placed } from './memory.js'
import type { ProfileFinding } from '../findings/finding.js'
import type { HookInput } from '../schema/hook.js'
import { BLACKOUT_POINTS, FINAL_POINTS } from '../../points.js'
import { formatTime } from '../schema/quantity.js'

type PlacedHook = Placed<HookInput>

const includes = (points: readonly string[], { value }: PlacedHook): boolean => points.includes(value.at)

/** `downtimeLimitMs` is null when it could not be read. */
export function checkHooks(hooks: readonly PlacedHook[], downtimeLimitMs: number | null): ProfileFinding[] {
  return [
    ...duplicates(hooks, 'profile/hook', 'hook'),
    ...hooks.flatMap((hook) => [...checkBlackout(hook), ...checkFailure(hook)]),
    ...(downtimeLimitMs === null ? [] : checkTimeouts(hooks, downtimeLimitMs)),
  ]
}

function checkBlackout(hook: PlacedHook): ProfileFinding[] {
  const { path, value } = hook
  const inside = includes(BLACKOUT_POINTS, hook)
  if (inside === value.inBlackout) return []
  if (inside) {
    return [
      {
        code: 'profile/hook',
        path: [...path, 'at'],
        found: `hook \`${value.name}\`: the devices stand still at ${value.at} until it ends`,
        label: 'inside the blackout',
        remedy: 'write inBlackout: true if you want that; pre-cutover is the last point outside',
      },
    ]
  }
  return [
    {
      code: 'profile/hook',
      path: [...path, 'inBlackout'],
      found: `hook \`${value.name}\`: ${value.at} is outside the blackout`,
      remedy: `drop it; inside are ${BLACKOUT_POINTS.join(', ')}`,
    },
  ]
}

function checkFailure(hook: PlacedHook): ProfileFinding[] {
  const { path, value } = hook
  if (value.onFailure !== 'abort' || !includes(FINAL_POINTS, hook)) return []
  return [
    {
      code: 'profile/hook',
      path: [...path, 'onFailure'],
      found: `hook \`${value.name}\`: at ${value.at} nothing can be rolled back any more`,
      remedy: 'write warn, or drop it: a failure is reported',
    },
  ]
}

/**
 * Hooks inside the blackout count with all the time they may take; if that alone is the limit, no cutover would ever
 * begin. Reported at the hook with which the limit is reached.
 */
function checkTimeouts(hooks: readonly PlacedHook[], downtimeLimitMs: number): ProfileFinding[] {
  let total = 0
  for (const hook of hooks) {
    const { path, value } = hook
    if (!includes(BLACKOUT_POINTS, hook)) continue
    const before = total
    total += value.timeout
    if (total < downtimeLimitMs) continue
    const [took, limit] = [formatTime(total * 1000), formatTime(downtimeLimitMs * 1000)]
    return [
      {
        code: 'profile/hook',
        path: [...path, 'timeout'],
        found:
          before === 0
            ? `hook \`${value.name}\` may take ${took} of a downtime limit of ${limit}`
            : `with hook \`${value.name}\` those inside the blackout may take ${took} of a downtime limit of ${limit}`,
        remedy: 'give it a shorter timeout, or raise migration.downtimeLimit',
      },
    ]
  }
  return []
}
