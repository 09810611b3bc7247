import { usageError } from '../errors.js'
import { parseRate, parseTime } from '../profile/quantity.js'
import type { Profile } from '../profile/profile.js'

/** What the command line lays over a profile's `migration:`. Absent: the profile's own. */
export interface MigrationFlags {
  readonly downtimeLimit?: string | undefined
  readonly maxRounds?: number | undefined
  readonly maxTime?: string | undefined
  readonly onNotConverged?: 'give-up' | 'go-ahead' | undefined
  readonly verify?: 'full' | 'none' | undefined
}

/** The profile with the flags in place of its own values; a usage error for a value that makes no sense. */
export function migrationOverrides(profile: Profile, flags: MigrationFlags): Profile {
  const { migration } = profile
  const { downtimeLimit, maxRounds, maxTime, onNotConverged, verify } = flags
  return {
    ...profile,
    migration: {
      ...migration,
      ...(downtimeLimit !== undefined && { downtimeLimitMs: wholeMs('downtime-limit', downtimeLimit) }),
      precopy: {
        maxRounds: maxRounds ?? migration.precopy.maxRounds,
        maxTimeMs: maxTime === undefined ? migration.precopy.maxTimeMs : wholeMs('max-time', maxTime),
      },
      onNotConverged: onNotConverged ?? migration.onNotConverged,
      verify: verify ?? migration.verify,
    },
  }
}

/** A time flag in whole milliseconds, at least one; rounding a limit up would raise it. */
export function wholeMs(flag: string, text: string): number {
  const parsed = parseTime(text)
  if (!parsed.ok) throw usageError('time', `--${flag} ${text}: ${parsed.problem}`)
  const ms = parsed.value / 1000
  if (!Number.isInteger(ms) || ms < 1) {
    throw usageError('time', `--${flag} ${text}: not a whole number of milliseconds`, 'write 1ms or more')
  }
  return ms
}

/** A rate flag in bytes per second. */
export function rateFlag(flag: string, text: string): bigint {
  const parsed = parseRate(text)
  if (!parsed.ok) throw usageError('rate', `--${flag} ${text}: ${parsed.problem}`)
  if (parsed.value <= 0n) throw usageError('rate', `--${flag} ${text}: nothing moves at this rate`)
  return parsed.value
}
