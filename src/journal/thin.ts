import type { EventRecord } from './event.js'

/** Held rounds are kept up to this many, then one in so much time: a run may be held for days. */
const KEPT_ROUNDS = 16
const KEPT_EVERY_US = 30_000_000

/** Many a second; none says anything that the next does not, and nothing of the report comes from them. */
export function isProgress({ body }: EventRecord): boolean {
  return body.type === 'helper' && (body.event.event === 'progress' || body.event.event === 'device-precopy')
}

/**
 * Which records are worth keeping. The many that only tell of progress are for the caller to drop; here go the rounds of
 * a run that is held, which otherwise come every second for as long as it is. A pure function of the records seen, so
 * that the journal and what is kept in memory agree.
 */
export class RoundThinner {
  private held = false
  private rounds = 0
  private lastKeptUs = 0
  private dropping = false

  keeps({ atUs, body }: EventRecord): boolean {
    if (body.type === 'hold') {
      this.held = body.state === 'held'
      this.rounds = 0
    }
    if (body.type !== 'helper') return true
    const { event } = body.event
    // The end of a round goes the way of its beginning.
    if (event === 'round-end') return !this.dropping
    if (event !== 'round-start') return true
    this.rounds++
    this.dropping = this.held && this.rounds > KEPT_ROUNDS && atUs - this.lastKeptUs < KEPT_EVERY_US
    if (!this.dropping) this.lastKeptUs = atUs
    return !this.dropping
  }
}
