/**
 * A `ferry dirty-log` run as the measured side of a plan: which one belongs to it, and what it says about rounds,
 * rates and convergence.
 */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { TrackReply, TrackerKind } from '../protocol/protocol.js'
import type { Plan } from '../plan/plan.js'
import { findJournal, listRuns, readJournal, readStart } from '../journal/read.js'
import type { PlanDigest } from '../journal/plan-digest.js'
import type { EventRecord } from '../journal/event.js'
import { buildReport } from '../report/build.js'
import { estimate, type Estimate, type EstimateTerms } from './estimate.js'
import { trackerFigures, unionFigures, type Figures } from './figures.js'
import { bytesOf } from '../report/measures.js'
import { Steps } from '../report/steps.js'

export interface Sample {
  readonly run: string
  readonly journal: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly ageMs: number
  /** In what it differs from the plan; empty: it fits. */
  readonly misfits: readonly Misfit[]
  readonly rounds: number
  /** Time the reads cover, in microseconds. */
  readonly spanUs: number
  readonly memoryBytes: bigint
  readonly trackers: readonly SampleTracker[]
  readonly union: Figures
  /** With the sample's writes and trackers, and the plan's memory, state and transitions. */
  readonly estimate: (Estimate & EstimateTerms) | null
}
export interface SampleTracker extends Figures {
  readonly tracker: string
  readonly kind: TrackerKind
  readonly covers: readonly string[]
  /** What one bit stood for once the tracker had started, in bytes; null when it was not told. */
  readonly unitBytes: number | null
}
export interface Misfit {
  readonly what: 'profile' | 'devices' | 'memory' | 'trackers' | 'outcome'
  /** "other devices: …" */
  readonly text: string
}
/** A sample, or why one that was looked at is none. */
export interface Found {
  readonly sample: Sample | null
  /** The newest run of the profile that was passed over, when there is no sample. */
  readonly passedOver: { readonly run: string; readonly misfits: readonly Misfit[] } | null
}
export interface SampleInput {
  readonly plan: Plan
  readonly stateDir: string
  readonly terms: EstimateTerms
  readonly nowMs: number
}

/** As many saved runs are looked at; only the first line of most. */
const MOST_RUNS = 1000

/**
 * The newest finished dirty-log of the same profile over the same devices and memory, one with the plan's trackers
 * before any other. Journals that cannot be read are none.
 */
export function findSample(input: SampleInput): Found {
  let passedOver: Found['passedOver'] = null
  const otherTrackers: string[] = []
  for (const run of listRuns(input.stateDir).slice(0, MOST_RUNS)) {
    const journal = findJournal(input.stateDir, run)
    const misfits = candidate(journal, input.plan)
    if (misfits === null) continue
    if (misfits.some(({ what }) => what !== 'trackers')) {
      passedOver ??= { run, misfits }
    } else if (misfits.length > 0) {
      otherTrackers.push(journal)
    } else {
      const sample = finished(journal, input)
      if (sample !== null) return { sample, passedOver: null }
    }
  }
  for (const journal of otherTrackers) {
    const sample = finished(journal, input)
    if (sample !== null) return { sample, passedOver: null }
  }
  return { sample: null, passedOver }
}

/** How a journal that may be a sample differs from the plan; null when it can be none. Reads its first line only. */
function candidate(journal: string, plan: Plan): readonly Misfit[] | null {
  const start = readStart(journal)
  if (start?.body.type !== 'run-start' || start.body.command !== 'dirty-log') return null
  if (start.body.profile !== plan.profile) return null
  try {
    return misfitsOf(start, plan)
  } catch {
    // The plan in it is not one of this version's.
    return null
  }
}

function finished(journal: string, input: SampleInput): Sample | null {
  try {
    const sample = readSample(journal, input)
    return sample?.misfits.some(({ what }) => what === 'outcome') ? null : sample
  } catch {
    return null
  }
}

/** The sample an operator names by run or journal, fitting or not; a FerryError when it is none at all. */
export function namedSample(run: string, input: SampleInput): Sample {
  const journal = findJournal(input.stateDir, run)
  const sample = readSample(journal, input)
  if (sample !== null) return sample
  throw new FerryError({
    code: 'usage/sample',
    exit: EXIT.usage,
    message: `${journal} holds no reads of trackers, so it cannot be a sample`,
    suggestions: ['name a `ferry dirty-log` run; `ferry report RUN` shows what a run is'],
  })
}

function readSample(journal: string, { nowMs, plan, terms }: SampleInput): Sample | null {
  const { records } = readJournal(journal)
  const [start] = records
  if (start?.body.type !== 'run-start' || start.body.command !== 'dirty-log') return null
  const report = buildReport(records)
  const memoryBytes = report.memoryBytes ?? plan.forecast.memoryBytes
  const pageSize = report.pageSize ?? plan.pageSize
  const { dirtyReads: reads, trackers } = report
  const union = unionFigures(trackers, reads, pageSize, memoryBytes)
  if (union === null) return null
  const units = unitsOf(records)
  const found = estimate({
    ...terms,
    memoryBytes: plan.forecast.memoryBytes,
    stateBytes: plan.forecast.stateBytes ?? 0n,
    fixedBlackoutUs: plan.forecast.fixedBlackoutUs,
    pageSize,
    trackers,
    reads,
  })
  return {
    run: report.run,
    journal,
    startedAt: report.startedAt,
    ageMs: Math.max(0, nowMs - Date.parse(report.startedAt)),
    misfits: [
      ...(report.outcome === 'done'
        ? []
        : [{ what: 'outcome', text: `it did not end well: ${report.outcome}` } as const]),
      ...misfitsOf(start, plan),
    ],
    rounds: reads.length,
    spanUs: reads.reduce((sum, read) => sum + read.intervalUs, 0),
    memoryBytes,
    trackers: trackers.flatMap((tracker): SampleTracker[] => {
      const figures = trackerFigures(tracker, reads, pageSize, memoryBytes)
      if (figures === null) return []
      const { covers, kind, tracker: name } = tracker
      return [{ tracker: name, kind, covers, unitBytes: units.get(name) ?? null, ...figures }]
    }),
    union,
    estimate: found && { ...found, ...terms },
  }
}

function unitsOf(records: readonly EventRecord[]): ReadonlyMap<string, number> {
  const started = new Steps(records).last<TrackReply>('track')?.reply?.trackers ?? []
  return new Map(started.map(({ pageSize, tracker }) => [tracker, pageSize]))
}

/** From the first record alone, so that a folder of journals is searched quickly. */
function misfitsOf({ body }: EventRecord, plan: Plan): readonly Misfit[] {
  if (body.type !== 'run-start') return []
  const { forecast, pairs, trackers } = body.plan as PlanDigest
  const memoryBytes = bytesOf(forecast.memoryBytes)
  const misfits: Misfit[] = []
  if (body.profile !== plan.profile) {
    misfits.push({ what: 'profile', text: `another profile: ${body.profile}` })
  }
  if (devicesText(pairs) !== devicesText(plan.pairs)) {
    misfits.push({ what: 'devices', text: `other devices: ${devicesText(pairs)}` })
  }
  if (memoryBytes !== plan.forecast.memoryBytes) {
    misfits.push({
      what: 'memory',
      text: `other memory: ${memoryBytes} bytes, the plan has ${plan.forecast.memoryBytes}`,
    })
  }
  if (trackersText(trackers) !== trackersText(plan.trackers)) {
    misfits.push({ what: 'trackers', text: `other trackers: ${trackersText(trackers)}` })
  }
  return misfits
}

function devicesText(pairs: PlanDigest['pairs']): string {
  return pairs
    .map(({ device, source }) => (device === source ? device : `${device} (${source})`))
    .toSorted()
    .join(', ')
}

function trackersText(trackers: PlanDigest['trackers']): string {
  return trackers
    .map(({ covers, tracker }) => `${tracker} for ${covers.toSorted().join(' and ')}`)
    .toSorted()
    .join(', ')
}
