import { usageError } from '../errors.js'
import { parseRate, parseTime } from '../profile/schema/quantity.js'
import type { HoldPoint, Profile } from '../profile/profile.js'

/** What the command line lays over a profile's `migration:`. Absent: the profile's own. */
export interface MigrationFlags {
  readonly downtimeLimitMs?: number | undefined
  readonly maxRounds?: number | undefined
  readonly maxTimeMs?: number | undefined
  readonly onNotConverged?: 'cancel' | 'cutover' | undefined
  readonly verify?: 'full' | 'none' | undefined
  readonly hold?: HoldPoint | undefined
  readonly holdTimeoutMs?: number | undefined
}

/** The profile with the flags in place of its own values. */
export function migrationOverrides(profile: Profile, flags: MigrationFlags): Profile {
  const { migration } = profile
  const { downtimeLimitMs, hold, holdTimeoutMs, maxRounds, maxTimeMs, onNotConverged, verify } = flags
  return {
    ...profile,
    migration: {
      ...migration,
      ...(downtimeLimitMs !== undefined && { downtimeLimitMs }),
      precopy: {
        maxRounds: maxRounds ?? migration.precopy.maxRounds,
        maxTimeMs: maxTimeMs ?? migration.precopy.maxTimeMs,
      },
      onNotConverged: onNotConverged ?? migration.onNotConverged,
      verify: verify ?? migration.verify,
      hold: hold ?? migration.hold,
      ...(holdTimeoutMs !== undefined && { holdTimeoutMs }),
    },
  }
}

/** A time in whole milliseconds, at least one; rounding a limit up would raise it. `name` is what the operator wrote it for. */
export function readMs(name: string, text: string): number {
  const parsed = parseTime(text)
  if (!parsed.ok) throw usageError('time', `${name} ${text}: ${parsed.problem}`)
  const ms = parsed.value / 1000
  if (!Number.isInteger(ms) || ms < 1) {
    throw usageError('time', `${name} ${text}: not a whole number of milliseconds`, 'write 1ms or more')
  }
  return ms
}

/** A rate in bytes per second. */
export function readRate(name: string, text: string): bigint {
  const parsed = parseRate(text)
  if (!parsed.ok) throw usageError('rate', `${name} ${text}: ${parsed.problem}`)
  if (parsed.value <= 0n) throw usageError('rate', `${name} ${text}: the rate must be more than zero`)
  return parsed.value
}
