/** Lines of the control protocol as typed values: the compiler holds each to protocol.ts. */
import type {
  BlackoutForecast,
  HelperErrorBody,
  HelperEvent,
  Op,
  Requests,
} from '../../../src/protocol/protocol.js'

export type Sample =
  | {
      readonly kind: 'request'
      readonly op: Op
      readonly body: {
        readonly id: number
        readonly op: Op
        readonly run?: string
        readonly epoch?: number
        readonly params: unknown
      }
    }
  | { readonly kind: 'reply'; readonly op: Op; readonly body: { readonly id: number; readonly ok: unknown } }
  | { readonly kind: 'reply'; readonly body: { readonly id: number | null; readonly error: HelperErrorBody } }
  | { readonly kind: 'event'; readonly body: HelperEvent }

export const RUN = '20261122T151733-4f2a'
export const RECORDS = '/var/lib/ferry/records'
/** SHA-256 of a helper's executable. */
export const BUILD = '4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865'
export const FINGERPRINT = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
export const PEER = '60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752'
export const SECRET = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'

/** `expectedUs` is the sum of the parts. */
export const FORECAST: BlackoutForecast = {
  lowUs: 4120,
  expectedUs: 5015,
  highUs: 7900,
  parts: {
    fixedUs: 2000,
    pagesUs: 930,
    stateUs: 1200,
    loadUs: 300,
    verifyUs: 0,
    roundTripUs: 85,
    hooksUs: 500,
  },
}

/** Requests that belong to no run. */
const UNBOUND: ReadonlySet<Op> = new Set(['hello', 'inventory', 'ping', 'route', 'record'])

/** Samples in the order they are written; a reply answers the request before it. */
export class SampleTape {
  readonly samples: Sample[] = []
  lastId = 0

  request<K extends Op>(op: K, params: Requests[K]['params']): this {
    this.lastId++
    const bound = UNBOUND.has(op) ? {} : { run: RUN, epoch: 1 }
    this.samples.push({ kind: 'request', op, body: { id: this.lastId, op, ...bound, params } })
    return this
  }

  reply<K extends Op>(op: K, ok: Requests[K]['reply']): this {
    this.samples.push({ kind: 'reply', op, body: { id: this.lastId, ok } })
    return this
  }

  /** A request and its reply. */
  pair<K extends Op>(op: K, params: Requests[K]['params'], ok: Requests[K]['reply']): this {
    return this.request(op, params).reply(op, ok)
  }

  error(id: number | null, error: HelperErrorBody): this {
    this.samples.push({ kind: 'reply', body: { id, error } })
    return this
  }

  event(body: HelperEvent): this {
    this.samples.push({ kind: 'event', body })
    return this
  }
}
