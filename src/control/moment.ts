import { usageError } from '../errors.js'

/**
 * A moment as operators write it: "02:30" or "02:30:15" (the next time the clock shows it, local time), or ISO 8601
 * ("2026-11-23T02:30:00Z"; without a zone, local time). Milliseconds since the epoch; a usage error when it is none or
 * has passed.
 */
export function readMoment(text: string, nowMs: number): number {
  const clock = /^(?<hours>[01]?\d|2[0-3]):(?<minutes>[0-5]\d)(?::(?<seconds>[0-5]\d))?$/u.exec(text)?.groups
  if (clock !== undefined) {
    const at = new Date(nowMs)
    at.setHours(Number(clock['hours']), Number(clock['minutes']), Number(clock['seconds'] ?? 0), 0)
    if (at.getTime() <= nowMs) at.setDate(at.getDate() + 1)
    return at.getTime()
  }
  const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:?\d\d)?$/u.test(text)
  const ms = iso ? Date.parse(text.replace(' ', 'T')) : NaN
  if (Number.isNaN(ms)) {
    throw usageError(
      'time',
      `--at ${text}: not a time`,
      'write 02:30, or a date and time: 2026-11-23T02:30:00Z',
    )
  }
  if (ms <= nowMs) {
    const now = new Date(nowMs).toISOString()
    throw usageError(
      'time',
      `--at ${text}: this time has passed (it is ${now})`,
      'leave --at out to cut over now',
    )
  }
  return ms
}
