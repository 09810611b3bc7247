/** The records of a run as a journal gives them back, with round figures. */
import type { HelperEvent, Op, Requests, Role, TrackerRound } from '../../src/protocol/protocol.js'
import type { PhaseName } from '../../src/plan/plan.js'
import type { Event, EventRecord, Outcome } from '../../src/journal/event.js'

export class Tape {
  readonly records: EventRecord[] = []
  private atUs = 0
  private step = 0
  private current: PhaseName = 'pin'

  add(body: Event, afterUs = 0): this {
    this.atUs += afterUs
    const time = new Date(Date.UTC(2026, 10, 22, 15, 17, 33) + this.atUs / 1000).toISOString()
    this.records.push({ seq: this.records.length + 1, time, atUs: this.atUs, body })
    return this
  }

  phase(phase: PhaseName, elapsedUs: number, work: (tape: Tape) => void = () => undefined): this {
    this.current = phase
    this.add({ type: 'phase-start', phase })
    work(this)
    return this.add({ type: 'phase-end', phase, outcome: 'ok', elapsedUs }, elapsedUs)
  }

  done<K extends Op>(side: Role, op: K, params: Requests[K]['params'], reply: Requests[K]['reply']): this {
    const step = ++this.step
    const phase = this.current
    this.add({ type: 'intent', step, phase, side, op, text: `${op} it`, params })
    return this.add({ type: 'outcome', step, ok: true, elapsedUs: 10, reply }, 10)
  }

  failed(side: Role, op: Op, code: string, phase: PhaseName = 'pin'): this {
    const step = ++this.step
    this.add({ type: 'intent', step, phase, side, op, text: `${op} it`, params: {} })
    const error = { code, message: `${op} was refused` }
    return this.add({ type: 'outcome', step, ok: false, elapsedUs: 10, error }, 10)
  }

  helper(event: HelperEvent, side: Role = 'source'): this {
    return this.add({ type: 'helper', side, event })
  }

  end(outcome: Outcome, exit: number, error?: { code: string; message: string; suggestion?: string }): this {
    return this.add({ type: 'run-end', outcome, exit, elapsedUs: this.atUs, ...(error && { error }) })
  }
}

export function started(command: 'migrate' | 'pin' | 'dirty-log' = 'migrate'): Tape {
  const tracker = { reason: 'because', refused: [], container: null, device: null }
  return new Tape().add({
    type: 'run-start',
    run: '20261122T151733-4f2a',
    command,
    profile: 'two-devices',
    file: 'two.yaml',
    version: '0.1.0',
    limits: { downtimeLimitMs: 500, bandwidth: null, streams: 1 },
    plan: {
      pageSize: 4096,
      pairs: [
        { device: 'vgpu', source: 'vgpu', destination: 'vgpu', backend: 'sim', stateBytes: '262144' },
        { device: 'nic', source: 'nic', destination: 'nic', backend: 'sim', stateBytes: null },
      ],
      containers: [],
      trackers: [
        { tracker: 'pinned:mdevs', kind: 'pinned', covers: ['vgpu'], everyPage: false, ...tracker },
        { tracker: 'device:nic', kind: 'device', covers: ['nic'], everyPage: false, ...tracker },
      ],
      forecast: {
        memoryBytes: '536870912',
        stateBytes: '262144',
        floorBytes: '0',
        fixedBlackoutUs: 0,
        notes: [],
      },
      warnings: [],
    },
  })
}

/** Pages of two trackers in one read, and how many of them each was alone to name. */
export function twoTrackers(
  pinned: readonly [pages: number, only: number],
  device: readonly [pages: number, only: number],
): readonly TrackerRound[] {
  return [
    { tracker: 'pinned:mdevs', pages: pinned[0], onlyPages: pinned[1], elapsedUs: 5 },
    { tracker: 'device:nic', pages: device[0], onlyPages: device[1], elapsedUs: 5 },
  ]
}

/** A whole migration that ended well. */
export function migrated(): Tape {
  const blackout = {
    quiesceUs: 812,
    lastPagesUs: 1430,
    stateUs: 3920,
    loadUs: 1210,
    verifyUs: 182_000,
    resumeUs: 640,
    totalUs: 190_012,
  }
  const precopy = {
    maxRounds: 30,
    maxTimeMs: 20_000,
    downtimeLimitMs: 500,
    fixedBlackoutUs: 0,
    verify: true,
  }
  return started()
    .phase('pin', 310_000, (tape) =>
      tape.done(
        'source',
        'map',
        { container: 'mdevs' },
        {
          bytes: '536870912',
          pages: 131_072,
          maps: 1,
          elapsedUs: 45_210,
          lockedBytes: '536870912',
        },
      ),
    )
    .phase('dirty-log', 1200)
    .phase('pre-copy', 430_000, (tape) =>
      tape
        .helper({ event: 'round-start', round: 1, pages: 131_072, bytes: '536870912', trackers: [] })
        .helper({
          event: 'round-end',
          round: 1,
          sentBytes: '402653184',
          zeroPages: 32_768,
          elapsedUs: 178_571,
          dirtyPages: 3000,
          dirtyBytes: '12288000',
          bytesPerSecond: '2254857830',
          estimatedBlackoutUs: 7449,
          trackers: twoTrackers([2048, 2000], [1000, 952]),
          unionPages: 3000,
        })
        .done('source', 'precopy', precopy, {
          reason: 'converged',
          rounds: 1,
          bytes: '402653184',
          remainingBytes: '12288000',
          bytesPerSecond: '2254857830',
          estimatedBlackoutUs: 7449,
          forecast: {
            lowUs: 6900,
            expectedUs: 7449,
            highUs: 8200,
            parts: {
              fixedUs: 2000,
              pagesUs: 5449,
              stateUs: 0,
              loadUs: 0,
              verifyUs: 0,
              roundTripUs: 0,
              hooksUs: 0,
            },
          },
        }),
    )
    .phase('cutover', 191_000, (tape) =>
      tape
        .helper({
          event: 'device-state',
          device: 'vgpu',
          from: 'PRE_COPY',
          to: 'STOP_COPY',
          elapsedUs: 9,
          atUs: 1,
        })
        .helper(
          { event: 'device-state', device: 'vgpu', from: 'STOP', to: 'RUNNING', elapsedUs: 9, atUs: 2 },
          'destination',
        )
        .done(
          'source',
          'cutover',
          { downtimeLimitMs: 500, fixedBlackoutUs: 0, verify: true },
          {
            outcome: 'running',
            blackout,
            lastPages: 512,
            lastBytes: '2097152',
            reads: [
              { stopped: false, trackers: twoTrackers([2048, 2048], [0, 0]), unionPages: 2048 },
              { stopped: true, trackers: twoTrackers([2048, 2047], [7, 6]), unionPages: 2054 },
            ],
            devices: [
              { device: 'vgpu', state: 'STOP_COPY', stateBytes: '262144', stateHash: 'ab' },
              { device: 'nic', state: 'STOP_COPY', stateBytes: '8388608', stateHash: 'cd' },
            ],
            verified: { pages: 131_072, mismatches: [] },
          },
        ),
    )
    .phase('commit', 52_000, (tape) =>
      tape
        .done(
          'destination',
          'check',
          {},
          { pages: 131_072, writes: '9007199254740993', lostPages: 0, lost: [] },
        )
        .done('source', 'status', {}, status('source', '12582912'))
        .done('destination', 'status', {}, status('destination', '8388608')),
    )
    .end('done', 0)
}

function status(role: Role, residentBytes: string): Requests['status']['reply'] {
  return {
    ...{ role, run: '20261122T151733-4f2a', epoch: 1, phase: 'running' },
    ...{ devices: [], residentBytes, workload: null },
  }
}
