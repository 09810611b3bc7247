/** What a helper tells without being asked. */
import type { Bytes, DeviceState } from './words.js'
import type { TrackerRound } from './set-up-messages.js'
import type { BlackoutForecast, CutoverPause } from './transfer-messages.js'

export type HelperEvent =
  /** A device moved, at `atUs` on this helper's monotonic clock. */
  | {
      readonly event: 'device-state'
      readonly device: string
      readonly from: DeviceState
      readonly to: DeviceState
      readonly elapsedUs: number
      readonly atUs: number
    }
  | {
      readonly event: 'round-start'
      readonly round: number
      readonly pages: number
      readonly bytes: Bytes
      readonly trackers: readonly TrackerRound[]
    }
  | {
      readonly event: 'progress'
      readonly round: number
      readonly sentBytes: Bytes
      readonly roundBytes: Bytes
      readonly bytesPerSecond: Bytes
    }
  | {
      readonly event: 'round-end'
      readonly round: number
      readonly sentBytes: Bytes
      readonly zeroPages: number
      readonly elapsedUs: number
      readonly dirtyPages: number
      readonly dirtyBytes: Bytes
      readonly bytesPerSecond: Bytes
      readonly estimatedBlackoutUs: number
      /** Absent in older journals. */
      readonly forecast?: BlackoutForecast
      /** The read of the trackers at the round's end, and the pages it named. Absent in older journals. */
      readonly trackers?: readonly TrackerRound[]
      readonly unionPages?: number
    }
  | {
      readonly event: 'device-precopy'
      readonly device: string
      readonly bytes: Bytes
      readonly initialBytes: Bytes
      readonly dirtyBytes: Bytes
    }
  /** A part of the cutover began, or (`done`) ended. */
  | {
      readonly event: 'cutover'
      readonly step: 'quiesce' | 'last-pages' | 'state' | 'load' | 'verify' | 'commit' | 'resume' | 'rollback'
      readonly done: boolean
      readonly elapsedUs: number
    }
  /** The cutover waits for `continue`. */
  | { readonly event: 'paused'; readonly at: CutoverPause }
  /** The last word to an owner that hung up: what it left is settled. `stays`: the helper does not end now. */
  | { readonly event: 'settled'; readonly stays: boolean }
  | {
      readonly event: 'log'
      readonly level: 'info' | 'warn' | 'error'
      readonly message: string
      readonly device?: string
    }
