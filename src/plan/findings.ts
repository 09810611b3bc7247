/** What the checks of a plan find. A check is a generator: it yields each finding, and returns what it decided. */
import type { Reason } from '../inventory/inventory.js'
import { PLAN_CODES, type PlanCode } from './codes.js'
import type { Blocker } from './plan.js'

/** Where a finding was made. */
export interface Place {
  readonly side: Blocker['side']
  readonly device?: string
}

export interface PlanFinding extends Blocker {
  readonly level: 'block' | 'warn'
}

/** A check that decides nothing but what is wrong. */
export type Check = Generator<PlanFinding, void>

export function block(code: PlanCode, place: Place, found: string, remedy: string): PlanFinding {
  return fromReason('block', { code, layer: PLAN_CODES[code].layer, found, remedy }, place)
}

export function warn(code: PlanCode, place: Place, found: string, remedy: string): PlanFinding {
  return fromReason('warn', { code, layer: PLAN_CODES[code].layer, found, remedy }, place)
}

/** A reason of the inventory as it stands. */
export function fromReason(level: PlanFinding['level'], reason: Reason, place: Place): PlanFinding {
  return { ...reason, side: place.side, device: place.device ?? null, level }
}

/** Runs a check to its end: what it decided, and each finding once, in the order found. */
export function collect<Decided>(check: Generator<PlanFinding, Decided>): {
  readonly decided: Decided
  readonly blockers: readonly Blocker[]
  readonly warnings: readonly Blocker[]
} {
  const found: PlanFinding[] = []
  for (;;) {
    const next = check.next()
    if (next.done) return { decided: next.value, blockers: of('block', found), warnings: of('warn', found) }
    if (!found.some((other) => isSame(other, next.value))) found.push(next.value)
  }
}

function of(wanted: PlanFinding['level'], found: readonly PlanFinding[]): Blocker[] {
  return found.flatMap(({ level, ...blocker }) => (level === wanted ? [blocker] : []))
}

function isSame(a: PlanFinding, b: PlanFinding): boolean {
  return (
    a.level === b.level &&
    a.code === b.code &&
    a.side === b.side &&
    a.device === b.device &&
    a.found === b.found
  )
}
