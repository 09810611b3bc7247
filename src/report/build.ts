import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { CheckReply, CutoverReply, PrecopyReply } from '../protocol/protocol.js'
import type { PlanDigest } from '../journal/plan-digest.js'
import type { EventRecord } from '../journal/event.js'
import { forecastsOf } from './forecasts.js'
import { lastStates } from './states.js'
import { interventionsOf } from './interventions.js'
import { Steps, type StepRecord } from './steps.js'
import type { DeviceReport, PhaseReport, Report, RoundReport, TrackerReport, Verification } from './report.js'
import { everyPageCost, trackerReads } from './tracker-reads.js'
import { bytesOf, dirtyReads, pinReports, residentBytes, roundReports } from './measures.js'

/**
 * The report of a run from its records alone: pure, so the one shown at the end of a run and the one read back
 * years later are the same. A FerryError when the records hold something no ferry of this version wrote.
 */
export function buildReport(records: readonly EventRecord[]): Report {
  try {
    return build(records)
  } catch (error) {
    if (error instanceof FerryError) throw error
    throw new FerryError({
      code: 'journal/broken',
      exit: EXIT.error,
      message: `these records cannot be made into a report: ${error instanceof Error ? error.message : String(error)}`,
      suggestions: ['check whether another version of ferry wrote the journal, or a person edited it'],
      cause: error,
    })
  }
}

function build(records: readonly EventRecord[]): Report {
  const first = records[0]
  if (first?.body.type !== 'run-start') throw new Error('the first record is not run-start')
  const start = first.body
  const plan = start.plan as PlanDigest
  const steps = new Steps(records)
  const rounds = roundReports(records)
  const cutover = steps.last<CutoverReply>('cutover')
  const reads = trackerReads(records, cutover?.reply ?? null)
  const trackers = trackerReports(plan)
  const precopy = steps.last<PrecopyReply>('precopy')?.reply
  const end = records.findLast((record) => record.body.type === 'run-end')?.body
  const ended = end?.type === 'run-end' ? end : null
  const limitMs = (cutover?.params as { downtimeLimitMs?: number } | undefined)?.downtimeLimitMs
  return {
    run: start.run,
    command: start.command,
    profile: start.profile,
    file: start.file,
    version: start.version,
    startedAt: first.time,
    outcome: ended?.outcome ?? 'incomplete',
    exit: ended?.exit ?? null,
    error: ended?.error ?? null,
    elapsedUs: ended?.elapsedUs ?? records.at(-1)?.atUs ?? 0,
    cancelAsked: records.some((record) => record.body.type === 'cancel-asked'),
    phases: phaseReports(records, sentOf(rounds, precopy), cutover?.reply ?? null),
    memoryBytes: bytesOf(plan.forecast.memoryBytes),
    pageSize: plan.pageSize,
    devices: deviceReports(plan, records, cutover?.reply ?? null),
    trackers,
    pins: pinReports(steps),
    rounds,
    trackerReads: reads,
    everyPage: everyPageCost(
      trackers.flatMap(({ everyPage, tracker }) => (everyPage ? [tracker] : [])),
      reads,
      cutover?.reply ?? null,
      plan.pageSize,
    ),
    dirtyReads: dirtyReads(steps),
    forecasts: start.command === 'migrate' ? forecastsOf(records, cutover?.reply ?? null) : null,
    interventions: interventionsOf(records),
    precopy: precopy
      ? {
          reason: precopy.reason,
          rounds: precopy.rounds,
          estimatedBlackoutUs: precopy.estimatedBlackoutUs,
          bytes: bytesOf(precopy.bytes),
          remainingBytes: bytesOf(precopy.remainingBytes),
          bytesPerSecond: bytesOf(precopy.bytesPerSecond),
        }
      : null,
    cutover: cutover?.reply
      ? {
          outcome: cutover.reply.outcome,
          blackout: cutover.reply.blackout,
          downtimeLimitUs: limitMs === undefined ? null : limitMs * 1000,
          lastPages: cutover.reply.lastPages,
          lastBytes: bytesOf(cutover.reply.lastBytes),
        }
      : null,
    verification: verification(cutover?.reply ?? null, steps.last<CheckReply>('check')),
    resident: residentBytes(steps),
    failedSteps: steps.failed().map(({ error, phase, side, text }) => ({ phase, side, text, error })),
    unfinished: steps.unfinished().map(({ side, text }) => ({ side, text })),
  }
}

function trackerReports(plan: PlanDigest): readonly TrackerReport[] {
  return plan.trackers.map(({ covers, everyPage, kind, reason, refused, tracker }) => ({
    tracker,
    kind,
    covers,
    // Older journals do not say; the tracker `all` is of that sort whatever they say.
    everyPage: everyPage ?? kind === 'all',
    reason,
    refused,
  }))
}

/** The helper's own count where it gave one: the journal keeps only some of the rounds of a run that was held long. */
function sentOf(
  rounds: readonly RoundReport[],
  reply: PrecopyReply | undefined,
): { readonly rounds: number; readonly bytes: bigint } {
  const kept = rounds.reduce((sum, round) => sum + round.sentBytes, 0n)
  if (reply?.reason === 'released') return { rounds: reply.rounds, bytes: bytesOf(reply.bytes) }
  return { rounds: rounds.length, bytes: kept }
}

function phaseReports(
  records: readonly EventRecord[],
  precopy: { readonly rounds: number; readonly bytes: bigint },
  cutover: CutoverReply | null,
): readonly PhaseReport[] {
  const lastUs = records.at(-1)?.atUs ?? 0
  return records.flatMap(({ atUs, body }, index): PhaseReport[] => {
    if (body.type !== 'phase-start') return []
    const rest = records.slice(index + 1)
    const end = rest.find(
      (record) => record.body.type === 'phase-end' && record.body.phase === body.phase,
    )?.body
    const done = end?.type === 'phase-end' ? end : null
    const sent = body.phase === 'pre-copy' ? precopy.bytes : 0n
    return [
      {
        phase: body.phase,
        outcome: done?.outcome ?? 'unfinished',
        elapsedUs: done?.elapsedUs ?? lastUs - atUs,
        bytes: body.phase === 'cutover' && cutover !== null ? bytesOf(cutover.lastBytes) : sent,
        rounds: body.phase === 'pre-copy' ? precopy.rounds : 0,
      },
    ]
  })
}

function deviceReports(
  plan: PlanDigest,
  records: readonly EventRecord[],
  cutover: CutoverReply | null,
): readonly DeviceReport[] {
  const stateOf = lastStates(records)
  // A destination that holds nothing of the run has devices in some state, too; they say nothing about the workload.
  const runs = cutover?.outcome === 'running'
  return plan.pairs.map(({ backend, destination, device, source, stateBytes }) => {
    const moved = cutover?.devices.find((entry) => entry.device === device)
    const planned = stateBytes === null ? null : bytesOf(stateBytes)
    return {
      device,
      source,
      destination,
      backend,
      trackers: plan.trackers.filter((tracker) => tracker.covers.includes(device)).map(({ kind }) => kind),
      stateBytes: moved ? bytesOf(moved.stateBytes) : planned,
      moved: moved !== undefined,
      stateHash: moved?.stateHash ?? null,
      states: {
        source: stateOf('source', device),
        destination: runs ? stateOf('destination', device) : null,
      },
    }
  })
}

function verification(cutover: CutoverReply | null, check: StepRecord<CheckReply> | undefined): Verification {
  const checked = check?.reply
  return {
    full: cutover?.verified ?? null,
    writes: checked
      ? {
          pages: checked.pages,
          writes: bytesOf(checked.writes),
          lostPages: checked.lostPages,
          lost: checked.lost.map((page) => page.iova),
        }
      : null,
  }
}
