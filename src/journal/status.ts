/** Where a run stands: a fold over its events, the same for a run that is under way and for one in a journal. */
import type {
  BlackoutForecast,
  CutoverReply,
  DeviceState,
  HelperErrorBody,
  Role,
} from '../protocol/protocol.js'
import type { PhaseName } from '../plan/plan.js'
import type { HoldPoint } from '../profile/profile.js'
import type { CutoverState, Event, EventRecord, Outcome } from './event.js'
import type { PlanDigest } from './plan-digest.js'

export interface RunStatus {
  readonly run: string
  readonly command: Extract<Event, { type: 'run-start' }>['command']
  readonly workload: string
  readonly startedAt: string
  /** At the newest event, in microseconds since the run began. */
  readonly atUs: number
  readonly seq: number
  readonly phase: PhaseName | null
  readonly phases: readonly {
    readonly phase: PhaseName
    readonly outcome: string
    readonly elapsedUs: number
  }[]
  /** Null when it is not held now. Moments are wall clock, milliseconds since the epoch. */
  readonly held: null | {
    readonly point: HoldPoint
    readonly sinceUs: number
    readonly untilMs: number | null
  }
  /** A cutover that was asked for and what became of it last. */
  readonly cutover: null | {
    readonly state: CutoverState
    readonly atMs: number | null
  }
  readonly limits: {
    readonly downtimeLimitUs: number | null
    /** Bytes per second; null: no cap, or not known yet. */
    readonly bandwidth: bigint | null
    readonly streams: number | null
  }
  /** The newest; null before the first round ended. */
  readonly forecast: null | {
    readonly expectedUs: number
    readonly range: BlackoutForecast | null
    readonly round: number
    readonly atUs: number
    /** Null when the limit is not known. */
    readonly fits: boolean | null
  }
  readonly round: null | {
    readonly round: number
    readonly sentBytes: bigint
    readonly roundBytes: bigint
    readonly bytesPerSecond: bigint | null
    /** Dirty at the end of the newest round that ended; null before. */
    readonly dirtyBytes: bigint | null
  }
  readonly devices: readonly {
    readonly device: string
    readonly source: DeviceState | null
    readonly destination: DeviceState | null
  }[]
  readonly hooks: { readonly done: number; readonly failed: number }
  readonly cancelAsked: boolean
  /** The destination runs, or will: nothing is undone any more. */
  readonly committed: boolean
  readonly ended: null | {
    readonly outcome: Outcome
    readonly exit: number
    readonly error: HelperErrorBody | null
  }
}

/** What a script can wait for. */
export const CONDITIONS = ['held', 'committed', 'ended'] as const
export type Condition = (typeof CONDITIONS)[number]

export function conditionMet(status: RunStatus, condition: Condition): boolean {
  switch (condition) {
    case 'held':
      return status.held !== null && status.ended === null
    case 'committed':
      return status.committed
    case 'ended':
      return status.ended !== null
  }
}

/** The status after these records; the first is a run-start. */
export function statusOf(records: readonly EventRecord[]): RunStatus {
  return records.reduce(withRecord, BLANK)
}

export const BLANK: RunStatus = {
  run: '',
  command: 'migrate',
  workload: '',
  startedAt: '',
  atUs: 0,
  seq: 0,
  phase: null,
  phases: [],
  held: null,
  cutover: null,
  limits: { downtimeLimitUs: null, bandwidth: null, streams: null },
  forecast: null,
  round: null,
  devices: [],
  hooks: { done: 0, failed: 0 },
  cancelAsked: false,
  committed: false,
  ended: null,
}

export function withRecord(before: RunStatus, record: EventRecord): RunStatus {
  const status = { ...before, atUs: record.atUs, seq: record.seq }
  const { body } = record
  switch (body.type) {
    case 'run-start': {
      const { command, limits, profile, run } = body
      const pairs = (body.plan as Partial<PlanDigest> | null)?.pairs ?? []
      return {
        ...status,
        run,
        command,
        workload: profile,
        startedAt: record.time,
        devices: pairs.map(({ device }) => ({ device, source: null, destination: null })),
        ...(limits !== undefined && {
          limits: {
            downtimeLimitUs: limits.downtimeLimitMs * 1000,
            bandwidth: limits.bandwidth === null ? null : BigInt(limits.bandwidth),
            streams: limits.streams,
          },
        }),
      }
    }
    case 'phase-start':
      return { ...status, phase: body.phase }
    case 'phase-end': {
      const { elapsedUs, outcome, phase } = body
      return { ...status, phase: null, held: null, phases: [...status.phases, { phase, outcome, elapsedUs }] }
    }
    case 'outcome':
      return isRunning(body.reply) && body.ok ? { ...status, committed: true } : status
    case 'helper':
      return helperEvent(status, record.atUs, body)
    case 'cancel-asked':
      return { ...status, held: null, cancelAsked: true }
    case 'hold': {
      const { point, state, untilMs } = body
      const held = state === 'held' ? { point, sinceUs: record.atUs, untilMs: untilMs ?? null } : null
      return { ...status, held }
    }
    case 'cutover-asked':
      return { ...status, cutover: { state: body.state, atMs: body.atMs ?? null } }
    case 'hook': {
      const { done, failed } = status.hooks
      return { ...status, hooks: { done: done + 1, failed: failed + (body.ok ? 0 : 1) } }
    }
    case 'set':
      return withSetting(status, body)
    case 'recover-start':
      return { ...status, ended: null }
    case 'run-end': {
      const { error, exit, outcome } = body
      const committed = status.committed || outcome === 'done'
      return { ...status, phase: null, held: null, committed, ended: { outcome, exit, error: error ?? null } }
    }
    case 'intent':
      return status
  }
}

/** The cutover's own reply, and what `ferry recover` hears of a destination that was finished. */
function isRunning(reply: unknown): boolean {
  const { blackout, outcome } = (reply ?? {}) as Partial<CutoverReply>
  return outcome === 'running' && blackout !== undefined
}

function helperEvent(
  status: RunStatus,
  atUs: number,
  { event, side }: Extract<Event, { type: 'helper' }>,
): RunStatus {
  switch (event.event) {
    case 'device-state':
      return { ...status, devices: withDevice(status.devices, event.device, side, event.to) }
    case 'round-start':
      return {
        ...status,
        round: {
          round: event.round,
          sentBytes: 0n,
          roundBytes: BigInt(event.bytes),
          bytesPerSecond: status.round?.bytesPerSecond ?? null,
          dirtyBytes: status.round?.dirtyBytes ?? null,
        },
      }
    case 'progress':
      return {
        ...status,
        round: {
          round: event.round,
          sentBytes: BigInt(event.sentBytes),
          roundBytes: BigInt(event.roundBytes),
          bytesPerSecond: BigInt(event.bytesPerSecond),
          dirtyBytes: status.round?.dirtyBytes ?? null,
        },
      }
    case 'round-end': {
      const expectedUs = event.forecast?.expectedUs ?? event.estimatedBlackoutUs
      const { downtimeLimitUs } = status.limits
      return {
        ...status,
        round: {
          round: event.round,
          sentBytes: BigInt(event.sentBytes),
          roundBytes: BigInt(event.sentBytes),
          bytesPerSecond: BigInt(event.bytesPerSecond),
          dirtyBytes: BigInt(event.dirtyBytes),
        },
        forecast: {
          expectedUs,
          range: event.forecast ?? null,
          round: event.round,
          atUs,
          fits: downtimeLimitUs === null ? null : expectedUs <= downtimeLimitUs,
        },
      }
    }
    default:
      return status
  }
}

function withSetting(status: RunStatus, { limits: set }: Extract<Event, { type: 'set' }>): RunStatus {
  if (set === undefined) return status
  const downtimeLimitUs = set.downtimeLimitMs * 1000
  return {
    ...status,
    limits: {
      downtimeLimitUs,
      bandwidth: set.bandwidth === null ? null : BigInt(set.bandwidth),
      streams: set.streams,
    },
    forecast: status.forecast && { ...status.forecast, fits: status.forecast.expectedUs <= downtimeLimitUs },
  }
}

function withDevice(
  devices: RunStatus['devices'],
  device: string,
  side: Role,
  state: DeviceState,
): RunStatus['devices'] {
  const known = devices.find((entry) => entry.device === device)
  const entry = { ...(known ?? { device, source: null, destination: null }), [side]: state }
  return known === undefined
    ? [...devices, entry]
    : devices.map((other) => (other.device === device ? entry : other))
}
