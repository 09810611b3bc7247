/**
 * Two helpers in memory, with just the state that the runner's promises are about: does a device run, and where;
 * has the run been committed, discarded. Any request can be made to fail, or the helper to die at it.
 */
import type { ErrorCode } from '../../src/error-code.js'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import { HelperRequestError } from '../../src/link/helper-error.js'
import type {
  ContinueParams,
  CutoverParams,
  DeviceState,
  HelloReply,
  HelperErrorBody,
  HelperEvent,
  Op,
  PrecopyParams,
  Requests,
  Role,
} from '../../src/protocol/protocol.js'
import type { Helper } from '../../src/phases/index.js'

/** Answered at once whatever is under way. */
const ASIDE: ReadonlySet<Op> = new Set<Op>(['receive', 'rollback', 'status', 'cancel'])

export const RUN = '20261122T151733-4f2a'

/** What befalls the nth request (1 is the first) of an op on a side. */
export interface Mishap {
  readonly side: Role
  readonly op: Op
  readonly nth?: number
  /** error: an error reply; lost: no reply, though it was carried out; dies: the process ends at it. */
  readonly kind: 'error' | 'lost' | 'dies'
  readonly code?: string
}

export interface Sent {
  readonly side: Role
  readonly op: Op
  readonly params: unknown
}

/** What replies say in place of the model's own. */
export type Replies = { readonly [K in Op]?: Partial<Requests[K]['reply']> }

export class Pair {
  readonly sent: Sent[] = []
  readonly source: FakeSide
  readonly destination: FakeSide
  committed = false
  private ended: (outcome: 'running' | 'discarded') => void = () => undefined
  readonly end: Promise<'running' | 'discarded'>

  readonly mishaps: readonly Mishap[]
  readonly replies: Replies
  readonly onRequest: (sent: Sent) => void
  /** What the source says without being asked. */
  emit: (event: HelperEvent) => void = () => undefined
  /** Blackout expected after each round of a pre-copy that is held; the last one repeats. */
  rounds: readonly number[] = [1]
  /** Ends a pre-copy that is held. */
  endRounds: (how: 'released' | 'cancelled') => void = () => undefined
  /** Ends a pause of the cutover. */
  goOn: (params: ContinueParams) => void = () => undefined

  constructor(
    mishaps: readonly Mishap[] = [],
    replies: Replies = {},
    onRequest: (sent: Sent) => void = () => undefined,
  ) {
    this.mishaps = mishaps
    this.replies = replies
    this.onRequest = onRequest
    this.source = new FakeSide('source', this)
    this.destination = new FakeSide('destination', this)
    this.end = new Promise((resolve) => {
      this.ended = resolve
    })
  }

  settle(outcome: 'running' | 'discarded'): void {
    this.ended(outcome)
  }

  /** `source map` and so on, in the order they were sent. */
  get trace(): readonly string[] {
    return this.sent.map(({ op, side }) => `${side} ${op}`)
  }
}

export class FakeSide implements Helper {
  alive = true
  state: DeviceState | null = null
  discarded = false
  readonly label: string
  private readonly counts = new Map<Op, number>()

  readonly side: Role
  private readonly pair: Pair

  constructor(side: Role, pair: Pair) {
    this.side = side
    this.pair = pair
    this.label = `the fake ${side}`
  }

  get helloReply(): HelloReply {
    return { fingerprint: 'ab'.repeat(32) } as HelloReply
  }

  async request<K extends Op>(op: K, params: Requests[K]['params']): Promise<Requests[K]['reply']> {
    if (!this.alive) throw linkError('helper/died', this.side)
    const nth = (this.counts.get(op) ?? 0) + 1
    this.counts.set(op, nth)
    const sent = { side: this.side, op, params }
    this.pair.sent.push(sent)
    this.pair.onRequest(sent)
    await Promise.resolve()
    // One worker: what comes after `receive` waits until the run has ended, but for what ends it or only asks.
    if (this.counts.has('receive') && !ASIDE.has(op)) await this.pair.end
    const mishap = this.pair.mishaps.find(
      (entry) => entry.side === this.side && entry.op === op && (entry.nth ?? nth) === nth,
    )
    if (mishap?.kind === 'dies') {
      this.alive = false
      if (this.side === 'destination') this.pair.settle('discarded')
      throw linkError('helper/died', this.side)
    }
    // Even a rollback that fails has ended what was under way before it was tried.
    if (op === 'rollback' && this.side === 'destination' && !this.pair.committed)
      this.pair.settle('discarded')
    if (mishap?.kind === 'error') throw this.refusal(op, mishap.code ?? 'test/refused')
    const reply = await this.carryOut(op, params)
    if (mishap?.kind === 'lost') throw linkError('link/garbage', this.side)
    return { ...(reply as object), ...this.pair.replies[op] } as Requests[K]['reply']
  }

  private async carryOut(op: Op, params: unknown): Promise<unknown> {
    const { pair } = this
    const source = this.side === 'source'
    switch (op) {
      case 'device':
        this.state = source ? 'RUNNING' : 'RESUMING'
        return { state: this.state, flags: [], stateBytes: '0' }
      case 'receive':
        return pair.end.then((outcome) => {
          if (outcome === 'running') this.state = 'RUNNING'
          return { outcome, pages: 1, bytes: '4096' }
        })
      case 'precopy': {
        this.state = 'PRE_COPY'
        const { hold } = params as PrecopyParams
        if (hold !== undefined && (await this.heldRounds()) === 'cancelled') {
          throw this.refusal(op, 'run/cancelled')
        }
        return {
          reason: hold === undefined ? 'converged' : 'released',
          rounds: 1,
          bytes: '1',
          remainingBytes: '1',
          bytesPerSecond: '1',
          estimatedBlackoutUs: 1,
        }
      }
      case 'proceed':
        pair.endRounds('released')
        return {}
      case 'cancel':
        if (source) pair.endRounds('cancelled')
        return {}
      case 'continue':
        pair.goOn(params as ContinueParams)
        return {}
      case 'cutover': {
        const stopped = await this.pauses(params as CutoverParams)
        if (stopped !== null) return stopped
        const outcome = pair.replies.cutover?.outcome ?? 'running'
        this.state = outcome === 'rolled-back' ? 'RUNNING' : 'STOP_COPY'
        if (outcome === 'running') {
          pair.committed = true
          pair.settle('running')
          await pair.end
          pair.destination.state = 'RUNNING'
        }
        const blackout = {
          quiesceUs: 1,
          lastPagesUs: 1,
          stateUs: 1,
          loadUs: 1,
          verifyUs: 0,
          resumeUs: 1,
          totalUs: 5,
        }
        return { outcome, blackout, lastPages: 1, lastBytes: '1', devices: [], verified: null }
      }
      case 'rollback': {
        const { peerDiscarded } = params as { peerDiscarded?: boolean }
        if (pair.committed && !(source && peerDiscarded && pair.destination.discarded)) {
          throw this.refusal(op, 'run/committed')
        }
        if (source) this.state = this.state && 'RUNNING'
        else {
          this.discarded = true
          this.state = null
          pair.settle('discarded')
        }
        return { devices: this.devices(), needsPerson: [] }
      }
      case 'status': {
        const phase = source
          ? 'tracking'
          : this.discarded
            ? 'discarded'
            : pair.committed
              ? 'running'
              : 'cutover'
        return { role: this.side, run: RUN, epoch: 1, phase, devices: this.devices(), residentBytes: '0' }
      }
      case 'check':
        return { pages: 1, writes: '1', lostPages: 0, lost: [] }
      case 'listen':
        return { address: '127.0.0.1', port: 4000 }
      default:
        return {}
    }
  }

  private async heldRounds(): Promise<'released' | 'cancelled'> {
    const { pair } = this
    let ended: 'released' | 'cancelled' | null = null
    const end = new Promise<void>((resolve) => {
      pair.endRounds = (how) => {
        ended = how
        resolve()
      }
    })
    for (let round = 1; ended === null; round++) {
      const estimatedBlackoutUs = pair.rounds[Math.min(round, pair.rounds.length) - 1] ?? 1
      pair.emit({
        ...{ event: 'round-end', round, sentBytes: '1', zeroPages: 0, elapsedUs: 1 },
        ...{ dirtyPages: 1, dirtyBytes: '4096', bytesPerSecond: '1', estimatedBlackoutUs },
      })
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 1))])
    }
    return ended
  }

  /** The reply of a cutover that a pause ended; null when it went through all of them. */
  private async pauses({ pauses = [] }: CutoverParams): Promise<unknown> {
    const { pair } = this
    for (const at of pauses) {
      const answer = new Promise<ContinueParams>((resolve) => {
        pair.goOn = resolve
      })
      pair.emit({ event: 'paused', at })
      const { abort } = await answer
      if (abort === undefined) continue
      this.state = 'RUNNING'
      const blackout = {
        quiesceUs: 1,
        lastPagesUs: 0,
        stateUs: 0,
        loadUs: 0,
        verifyUs: 0,
        resumeUs: 1,
        totalUs: 2,
      }
      const cause = { code: 'hook/failed', message: abort.message }
      return {
        outcome: 'rolled-back',
        cause,
        blackout,
        lastPages: 0,
        lastBytes: '0',
        devices: [],
        verified: null,
      }
    }
    return null
  }

  private devices(): { readonly device: string; readonly state: DeviceState }[] {
    return this.state === null ? [] : [{ device: 'vgpu', state: this.state }]
  }

  private refusal(op: Op, code: string): HelperRequestError {
    const body: HelperErrorBody = { code, message: `${op} was refused` }
    return new HelperRequestError(body, { side: this.side, op })
  }
}

function linkError(code: ErrorCode, side: Role): FerryError {
  return new FerryError({ code, exit: EXIT.error, message: `${side}: ${code}`, side })
}
