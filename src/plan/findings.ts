import type { Reason } from '../inventory/inventory.js'
import { PLAN_CODES, type PlanCode } from './codes.js'
import type { Blocker } from './plan.js'

/** Where a finding was made. */
export interface Place {
  readonly side: Blocker['side']
  readonly device?: string
}

/** Collects every blocker and warning of one plan, in the order found, each once. */
export interface Findings {
  readonly blockers: Blocker[]
  readonly warnings: Blocker[]
}

export function newFindings(): Findings {
  return { blockers: [], warnings: [] }
}

/** Records one of the planner's own codes as blocker or warning. */
export function record(
  findings: Findings,
  level: 'block' | 'warn',
  code: PlanCode,
  place: Place,
  found: string,
  remedy: string,
): void {
  add(findings, level, { code, layer: PLAN_CODES[code].layer, found, remedy }, place)
}

/** Records a reason of the inventory as it stands. */
export function add(findings: Findings, level: 'block' | 'warn', reason: Reason, place: Place): void {
  const list = level === 'block' ? findings.blockers : findings.warnings
  const blocker: Blocker = { ...reason, side: place.side, device: place.device ?? null }
  const known = list.some(
    (other) =>
      other.code === blocker.code &&
      other.side === blocker.side &&
      other.device === blocker.device &&
      other.found === blocker.found,
  )
  if (!known) list.push(blocker)
}
