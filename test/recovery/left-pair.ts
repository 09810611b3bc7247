/**
 * What a ferry that died may have left: two helpers, or what they wrote down. Each answers as helpers do, with just the
 * state that the promises of `recover` are about. A helper that is killed loses its devices, and keeps its record.
 */
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import { HelperRequestError } from '../../src/link/helper-error.js'
import type { RecordReply, Role, StatusReply } from '../../src/protocol/protocol.js'
import type { Client, Reach } from '../../src/recovery/sides.js'

export const RUN = '20261122T151733-4f2a'
export const WORKLOAD = 'w'

/** handed: a command that was started has them; it outlives every helper. */
export type Devices = 'running' | 'stopped' | 'closed' | 'handed'
interface Side {
  alive: boolean
  /** It belongs to the run still, as its status says. */
  ofRun: boolean
  holds: boolean
  devices: Devices
  record: RecordReply['record']
}

/** What befalls the nth request of a recovery, whichever it is. */
export interface Mishap {
  readonly nth: number
  /** unsent: it never arrives; unheard: it is carried out and its reply is lost; dies: its helper ends before it. */
  readonly kind: 'unsent' | 'unheard' | 'dies'
}

export class LeftPair {
  readonly source: Side = { alive: true, ofRun: true, holds: false, devices: 'stopped', record: 'none' }
  readonly destination: Side = { alive: true, ofRun: true, holds: false, devices: 'stopped', record: 'none' }
  readonly trace: string[] = []
  /** The source ran after the cutover was begun, seen by the one who asked. */
  sourceRanAgain = false
  /** The source was a holder before the run, and is one again when it goes back. */
  sourceHolds = false
  /** What the source's helper stopped for the blackout cannot be woken. */
  standing = false
  /** A helper died with devices open. */
  lostOne = false
  private asked = 0
  mishaps: readonly Mishap[] = []
  /** Hosts that no one reaches. */
  readonly away = new Set<Role>()

  again(mishaps: readonly Mishap[]): void {
    this.asked = 0
    this.mishaps = mishaps
  }

  /** Where the workload runs at this moment. */
  get running(): readonly Role[] {
    return (['source', 'destination'] as const).filter((role) => {
      const { alive, devices } = this[role]
      return devices === 'handed' || (alive && devices === 'running')
    })
  }

  kill(role: Role): void {
    const side = this[role]
    side.alive = false
    side.holds = false
    if (side.devices === 'running' || side.devices === 'stopped') this.lostOne = true
    if (side.devices !== 'handed') side.devices = 'closed'
  }

  /** With its helper goes whatever the helper's devices were handed to, and no one reaches it. */
  killHost(role: Role): void {
    this.kill(role)
    this[role].devices = 'closed'
    this.away.add(role)
  }

  /** At the run's socket its own helper answers, at the holder's any holder. */
  readonly reach: Reach = {
    attach: async (role, address, socket) => {
      if (this.away.has(role)) throw this.lost(role)
      const side = this[role]
      const mine = socket === address.sockets[0] ? side.ofRun : side.holds
      return side.alive && mine ? this.client(role, true) : null
    },
    open: async (role) => {
      if (this.away.has(role)) throw this.lost(role)
      return this.client(role, false)
    },
  }

  private client(role: Role, own: boolean): Client {
    const request = async (op: string, params: Readonly<Record<string, unknown>>): Promise<unknown> => {
      const asked = ++this.asked
      const mishap = this.mishaps.find(({ nth }) => nth === asked)
      if (mishap?.kind === 'dies' && own) this.kill(role)
      if (mishap?.kind === 'unsent' || (own && !this[role].alive)) throw this.lost(role)
      this.trace.push(`${role} ${op}`)
      const reply = this.carryOut(role, own, op, params)
      if (mishap?.kind === 'unheard') throw this.lost(role)
      return reply
    }
    return { request, bind: () => undefined, close: async () => null, alive: true } as unknown as Client
  }

  private carryOut(role: Role, own: boolean, op: string, params: Readonly<Record<string, unknown>>): unknown {
    const side = this[role]
    const committed = side.record === 'committed' || side.record === 'settled'
    if (op === 'record') {
      if (params['discard'] === true) {
        if (committed) throw this.refusal(role, op, 'record/committed')
        side.record = 'discarded'
        if (role === 'source' && this.standing) throw this.refusal(role, op, 'tracker/process-not-woken')
      }
      return { record: side.record }
    }
    // A helper that was started to read the record has nothing else.
    if (!own) {
      if (op === 'status') return { run: null, workload: null, phase: 'idle', devices: [] }
      throw this.refusal(role, op, 'request/out-of-order')
    }
    switch (op) {
      case 'status':
        return this.status(role)
      case 'rollback':
        return this.rollback(role, params['peerDiscarded'] === true)
      case 'finish':
        if (side.record !== 'none' || side.devices !== 'stopped')
          throw this.refusal(role, op, 'request/out-of-order')
        side.record = 'committed'
        side.devices = 'running'
        return { outcome: 'running' }
      case 'stay':
        if (side.devices !== 'running') throw this.refusal(role, op, 'request/out-of-order')
        side.record = 'settled'
        side.holds = true
        side.ofRun = false
        return {}
      case 'exec':
        if (side.devices !== 'running') throw this.refusal(role, op, 'request/out-of-order')
        side.devices = 'handed'
        side.record = 'settled'
        side.ofRun = false
        return { pid: 7, names: [] }
      case 'release':
        if (role === 'source' && this.sourceHolds && params['keep'] === true) {
          side.holds = true
          side.ofRun = false
          return {}
        }
        // Noted before anything is closed: by a destination that runs, and by a source that runs again.
        if (side.devices === 'running' && side.ofRun && params['giveUp'] !== true) side.record = 'settled'
        side.devices = 'closed'
        side.ofRun = false
        side.holds = false
        return {}
      default:
        throw this.refusal(role, op, 'request/unknown')
    }
  }

  private rollback(role: Role, peerDiscarded: boolean): unknown {
    const side = this[role]
    if (role === 'destination') {
      if (side.record === 'committed' || side.record === 'settled')
        throw this.refusal(role, 'rollback', 'run/committed')
      side.record = 'discarded'
      side.devices = 'closed'
      return { devices: [], needsPerson: [] }
    }
    if (side.record === 'committed' && !peerDiscarded) throw this.refusal(role, 'rollback', 'run/committed')
    side.record = 'discarded'
    side.devices = 'running'
    this.sourceRanAgain = true
    return { devices: [{ device: 'nic', state: 'RUNNING' }], needsPerson: [] }
  }

  private status(role: Role): Partial<StatusReply> {
    const { devices, holds, ofRun, record } = this[role]
    const phase =
      record === 'discarded'
        ? 'discarded'
        : record === 'committed' && devices === 'running'
          ? 'running'
          : 'cutover'
    const state = devices === 'running' ? 'RUNNING' : role === 'source' ? 'STOP_COPY' : 'RESUMING'
    return {
      run: ofRun ? RUN : null,
      workload: holds ? WORKLOAD : null,
      phase: ofRun ? phase : 'idle',
      devices: devices === 'closed' || devices === 'handed' ? [] : [{ device: 'nic', state }],
    }
  }

  private refusal(side: Role, op: string, code: string): HelperRequestError {
    return new HelperRequestError({ code, message: `${op} was refused` }, { side, op: op as 'status' })
  }

  private lost(side: Role): FerryError {
    return new FerryError({ code: 'link/lost', exit: EXIT.error, message: `${side}: the link is lost`, side })
  }
}
