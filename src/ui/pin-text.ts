import type { Report } from '../report/report.js'
import { percent, size } from '../units.js'

/** Locked memory against RLIMIT_MEMLOCK; null is a process the limit does not bind. */
export function memlockText(report: Report, limit: bigint | null): string {
  const locked = report.pins.reduce((sum, pin) => sum + pin.lockedBytes, 0n)
  if (limit === null) return `locked memory: ${size(locked)}; no limit binds the helper`
  return `locked memory: ${size(locked)} of the ${size(limit)} that RLIMIT_MEMLOCK allows (${percent(locked, limit)})`
}
