/** What `ferry set` can change while a run is under way. */
import { usageError } from '../errors.js'
import type { TuneParams } from '../protocol/protocol.js'
import type { Limits } from '../phases/index.js'
import type { Profile } from '../profile/profile.js'
import { formatRate } from '../profile/schema/quantity.js'
import type { Settable } from '../journal/event.js'
import { readMs, readRate } from './overrides.js'

export const SETTABLE = ['downtime-limit', 'bandwidth', 'streams'] as const satisfies readonly Settable[]

export interface Setting {
  readonly key: Settable
  /** In the shortest spelling that reads back, for the journal. */
  readonly value: string
  readonly limits: Limits
  readonly tune: TuneParams
}

export function limitsOf({ migration, transport }: Profile): Limits {
  const { bandwidth, downtimeLimitMs } = migration
  return { bandwidth, downtimeLimitMs, streams: transport.streams }
}

/**
 * Reads `text` as the profile would; a usage error says what would be right. `maxStreams` is what the run connected;
 * null where it is not known, and the run itself will say.
 */
export function readSetting(key: Settable, text: string, limits: Limits, maxStreams: number | null): Setting {
  switch (key) {
    case 'downtime-limit': {
      const downtimeLimitMs = readMs(key, text)
      return {
        key,
        value: `${downtimeLimitMs}ms`,
        limits: { ...limits, downtimeLimitMs },
        tune: { downtimeLimitMs },
      }
    }
    case 'bandwidth': {
      const bandwidth = text === 'none' ? null : readRate(key, text)
      return {
        key,
        value: bandwidth === null ? 'none' : formatRate(bandwidth),
        limits: { ...limits, bandwidth },
        tune: { bandwidth: bandwidth === null ? null : bandwidth.toString() },
      }
    }
    case 'streams': {
      const streams = /^\d{1,3}$/u.test(text) ? Number(text) : 0
      if (streams < 1 || (maxStreams !== null && streams > maxStreams)) {
        throw usageError(
          'streams',
          `streams ${text}: write a whole number from 1 ${maxStreams === null ? 'on' : `to ${maxStreams}`}`,
          '`transport.maxStreams` in the profile says how many are opened',
        )
      }
      return { key, value: String(streams), limits: { ...limits, streams }, tune: { streams } }
    }
  }
}

/** As `ferry set` takes it. */
export function textOf(key: Settable, limits: Limits): string {
  if (key === 'downtime-limit') return `${limits.downtimeLimitMs}ms`
  if (key === 'streams') return String(limits.streams)
  return limits.bandwidth === null ? 'none' : `${limits.bandwidth}B/s`
}
