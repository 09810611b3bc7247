import type { Requests } from '../protocol/protocol.js'

/** As far as a client is needed here; src/link's HelperClient is one. */
export interface Pinged {
  request(op: 'ping', params: Requests['ping']['params']): Promise<unknown>
}

/**
 * Says every third of `keepaliveMs` that the owner is there, and notices when the other side is not: a ping is answered
 * at once, whatever the helper is busy with. Counted in pings rather than by the clock, so that an event loop that stood
 * still for a while does not take its own absence for the peer's.
 *
 * @returns what stops it.
 */
export function keepAlive(client: Pinged, keepaliveMs: number, onLost: () => void): () => void {
  let unanswered = 0
  const timer = setInterval(
    () => {
      if (unanswered >= 3) {
        clearInterval(timer)
        onLost()
        return
      }
      unanswered++
      // Any answer will do, also an error; one that never comes is told by its client's end.
      const answered = (): void => {
        unanswered = 0
      }
      client.request('ping', {}).then(answered, answered)
    },
    Math.max(1, Math.floor(keepaliveMs / 3)),
  )
  timer.unref()
  return () => clearInterval(timer)
}
