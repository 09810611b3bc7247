import { usageError } from '../errors.js'
import { parseRate, parseTime } from '../profile/schema/quantity.js'
import type { HoldPoint, Profile } from '../profile/profile.js'

/** What the command line lays over a profile's `migration:`. Absent: the profile's own. */
export interface MigrationFlags {
  readonly downtimeLimit?: string | undefined
  readonly maxRounds?: number | undefined
  readonly maxTime?: string | undefined
  readonly onNotConverged?: 'cancel' | 'cutover' | undefined
  readonly verify?: 'full' | 'none' | undefined
  readonly hold?: HoldPoint | undefined
  readonly holdTimeout?: string | undefined
}

/** The profile with the flags in place of its own values; a usage error for a value that makes no sense. */
export function migrationOverrides(profile: Profile, flags: MigrationFlags): Profile {
  const { migration } = profile
  const { downtimeLimit, hold, holdTimeout, maxRounds, maxTime, onNotConverged, verify } = flags
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
      hold: hold ?? migration.hold,
      ...(holdTimeout !== undefined && { holdTimeoutMs: wholeMs('hold-timeout', holdTimeout) }),
    },
  }
}

/** A time flag in whole milliseconds, at least one; rounding a limit up would raise it. */
export function wholeMs(flag: string, text: string): number {
  return readMs(`--${flag}`, text)
}

/** The same for a value that is named otherwise. */
export function readMs(name: string, text: string): number {
  const parsed = parseTime(text)
  if (!parsed.ok) throw usageError('time', `${name} ${text}: ${parsed.problem}`)
  const ms = parsed.value / 1000
  if (!Number.isInteger(ms) || ms < 1) {
    throw usageError('time', `${name} ${text}: not a whole number of milliseconds`, 'write 1ms or more')
  }
  return ms
}

/** A rate flag in bytes per second. */
export function rateFlag(flag: string, text: string): bigint {
  return readRate(`--${flag}`, text)
}

export function readRate(name: string, text: string): bigint {
  const parsed = parseRate(text)
  if (!parsed.ok) throw usageError('rate', `${name} ${text}: ${parsed.problem}`)
  if (parsed.value <= 0n) throw usageError('rate', `${name} ${text}: nothing moves at this rate`)
  return parsed.value
}
