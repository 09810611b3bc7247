/** `ferry recover`: finding both sides of an interrupted run, and finishing it in the only safe direction. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { OUTCOME_EXIT } from '../run/outcome.js'
import { errorBodyOf } from '../link/helper-error.js'
import { isLost } from '../link/link-error.js'
import type { HelperErrorBody } from '../protocol/protocol.js'
import { settle } from '../phases/settle.js'
import { decideRecovery, type Recovery } from './decide.js'
import type { Outcome, SideAddresses } from '../journal/event.js'
import type { Subscriber } from '../journal/event-stream.js'
import { lostStays } from './lost-device.js'
import { findDestination, findSource, type Settling } from './find-sides.js'
import type { Found, Reach } from './sides.js'
import type { SavedJournal } from '../journal/read.js'
import { resumeJournal } from './resume-journal.js'
import type { RunSession } from '../phases/phase.js'

type Step = RunSession['step']

export interface RecoverInput {
  readonly saved: SavedJournal
  readonly stateDir: string
  readonly version: string
  /** The source runs again although the destination committed; its helper is gone and what it did since is given up. */
  readonly resumeSource: boolean
  /** Opens or attaches; src/link does it. */
  readonly reach: Reach
  readonly onEvent?: Subscriber
}
export interface RecoveryResult {
  readonly run: string
  readonly outcome: Outcome
  readonly exit: number
  /** What was found on either side, in the words of decide-recovery. */
  readonly source: string
  readonly destination: string
  readonly did: Recovery['do']
  readonly error: HelperErrorBody | null
  readonly problems: readonly HelperErrorBody[]
}

/**
 * Takes the journal up again with the next epoch, so that late voices of the run are refused, and ends it with another
 * run-end. Safe to repeat: a run that is settled is found so. Throws only while nothing was asked of either side.
 */
export async function recoverRun(input: RecoverInput): Promise<RecoveryResult> {
  const { run, addresses } = startOf(input.saved)
  const over = endedFor(input.saved)
  if (over !== null && !input.resumeSource) return nothingLeft(run, over)
  if (over === 'done') throw alreadyDoneError(run)
  const { onEvent, stateDir } = input
  const journal = resumeJournal(input.saved, { run, stateDir, ...(onEvent !== undefined && { onEvent }) })
  const { events } = journal
  const epoch = 2 + journal.recoveries
  events.emit({ type: 'recover-start', epoch, version: input.version })
  const startedUs = events.nowUs()
  const [source, destination] = await Promise.all([
    findSource(input.reach, addresses.source, run),
    findDestination(input.reach, addresses.destination, {
      run,
      workload: addresses.workload,
      settled: howSettled(input.saved),
    }),
  ])
  for (const client of [source.client, destination.client]) client?.bind(run, epoch)
  const step = journal.requestsTo({ source: source.client, destination: destination.client })
  const decided = decideRecovery(source.found, destination.found, { resumeSource: input.resumeSource })
  const problems = [...source.problems, ...destination.problems]
  let result: { outcome: Outcome; error: HelperErrorBody | null }
  try {
    result = await finishRun(decided, step, addresses, source, destination, run)
  } catch (error) {
    const body = errorBodyOf(error)
    const person =
      (error instanceof FerryError && error.exit === EXIT.needsPerson) || body.code === 'protocol/committed'
    result = { outcome: person ? 'needs-person' : 'unknown', error: body }
  }
  result = lostStays(input.saved, result)
  events.emit({
    type: 'run-end',
    outcome: result.outcome,
    exit: OUTCOME_EXIT[result.outcome],
    ...(result.error !== null && { error: result.error }),
    elapsedUs: events.nowUs() - startedUs,
  })
  journal.close()
  await Promise.all([source.client?.close(), destination.client?.close()])
  return {
    run,
    ...result,
    exit: OUTCOME_EXIT[result.outcome],
    source: source.found,
    destination: destination.found,
    did: decided.do,
    problems,
  }
}

/** Ends after which both sides are where they belong, and Ferry has checked it. */
const SETTLED: ReadonlySet<Outcome> = new Set([
  'done',
  'not-started',
  'cancelled',
  'rolled-back',
  'downtime-limit',
])

function endedFor({ records }: SavedJournal): Outcome | null {
  const end = records.findLast(({ body }) => body.type === 'run-end')?.body
  return end?.type === 'run-end' && SETTLED.has(end.outcome) ? end.outcome : null
}

/** Nothing is asked and nothing is written: a run that is done stays so. */
function alreadyDoneError(run: string): FerryError {
  return new FerryError({
    code: 'recover/done',
    exit: EXIT.error,
    message: `run ${run} is done: the destination ran, and the workload may be anywhere by now; the source is not resumed`,
    suggestions: [
      'move the workload back from the host that has it, or start it again',
      `\`ferry release ${run}\` closes what the source may still keep open`,
    ],
  })
}

/** Neither side is asked: what they have done since then does not belong to this run. */
function nothingLeft(run: string, outcome: Outcome): RecoveryResult {
  const notAsked = 'not-asked'
  return {
    ...{ run, outcome, exit: OUTCOME_EXIT[outcome] },
    ...{ source: notAsked, destination: notAsked, did: 'nothing', error: null, problems: [] },
  }
}

async function finishRun(
  decided: Recovery,
  step: Step,
  addresses: SideAddresses,
  source: Found,
  destination: Found,
  run: string,
): Promise<{ outcome: Outcome; error: HelperErrorBody | null }> {
  const done = { outcome: 'done', error: null } as const
  switch (decided.do) {
    case 'nothing':
      return { outcome: decided.outcome, error: null }
    case 'refuse':
      return {
        outcome: decided.outcome,
        error: {
          code: decided.outcome === 'unknown' ? 'run/unknown' : 'recover/refused',
          message: decided.why,
          suggestion: decided.remedy.replaceAll('RUN', run),
        },
      }
    case 'finish':
      await step({
        side: 'destination',
        op: 'finish',
        params: {},
        text: 'tell the destination that the source has committed',
      })
      await settleBoth(step, addresses, source, destination)
      return done
    case 'settle':
      await settleBoth(step, addresses, source, destination)
      return done
    case 'go-back':
      return rollBack(decided.discard, step, addresses, source, run)
  }
}

async function settleBoth(
  step: Step,
  addresses: SideAddresses,
  source: Found,
  destination: Found,
): Promise<void> {
  const { handOut, releaseSource, then, workload } = addresses
  // The last of the destination's sockets is the holder's.
  const socket = addresses.destination.sockets.at(-1) ?? ''
  if (!/settled$/u.test(destination.found)) await settle(step, { then, workload, socket, handOut })
  if (releaseSource === 'on-commit' && source.found === 'answers') {
    await step({ side: 'source', op: 'release', params: {}, text: 'release the source' })
  }
}

async function rollBack(
  discard: 'ask' | 'record' | 'none',
  step: Step,
  addresses: SideAddresses,
  source: Found,
  run: string,
): Promise<{ outcome: Outcome; error: HelperErrorBody | null }> {
  if (discard === 'record') {
    const params = {
      recordDir: addresses.destination.recordDir,
      run,
      role: 'destination',
      discard: true,
    } as const
    await step({ side: 'destination', op: 'record', params, text: 'record that the run is discarded' })
  } else if (discard === 'ask') {
    await step({
      side: 'destination',
      op: 'rollback',
      params: {},
      text: 'discard the run on the destination',
    })
    await step({ side: 'destination', op: 'release', params: {}, text: 'release the destination' })
  }
  const back = source.found === 'runs' || source.found === 'ran'
  if (source.found !== 'answers' && !back) {
    return {
      outcome: 'needs-person',
      error: {
        code: 'source/helper-died',
        message:
          `the destination has nothing of the run, and the source's helper has ended: the kernel closed ` +
          `${addresses.source.devices.join(', ')}, which resets a device`,
        suggestion: 'start the workload anew on the source',
      },
    }
  }
  if (back) return { outcome: 'rolled-back', error: null }
  const params = { peerDiscarded: true }
  const text = 'bring the devices back to RUNNING'
  const { devices, needsPerson } = await step({ side: 'source', op: 'rollback', params, text })
  const still = devices.filter(({ state }) => state !== 'RUNNING')
  const stuck = needsPerson[0]
  if (stuck !== undefined || still[0] !== undefined) {
    const message = still.map(({ device, state }) => `${device} is ${state}`).join(', ')
    return { outcome: 'needs-person', error: stuck ?? { code: 'source/not-running', message } }
  }
  // What was opened for the run is given back; a holder keeps what it held before.
  await step({ side: 'source', op: 'release', params: { keep: true }, text: 'release the source' })
  return { outcome: 'rolled-back', error: null }
}

function startOf(saved: SavedJournal): { readonly run: string; readonly addresses: SideAddresses } {
  const start = saved.records[0]?.body
  if (start?.type !== 'run-start' || start.seats === undefined) {
    throw new FerryError({
      code: 'recover/nothing',
      exit: EXIT.usage,
      message: `${saved.path} is not the journal of a migration that can be recovered`,
      suggestions: ['only `ferry migrate` leaves two sides behind'],
    })
  }
  return { run: start.run, addresses: start.seats }
}

/** `holding`, `handing`: the last request to hold, or to start the command, got no answer of the helper's own. */
export function howSettled(saved: Pick<SavedJournal, 'records'>): Settling {
  const asked = new Set<number>()
  let open = null as { readonly step: number; readonly how: Settling } | null
  // Before a commit, and after a discard, a release gives the run up.
  let settling = false
  for (const { body } of saved.records) {
    if (body.type === 'recover-start' || (body.type === 'phase-start' && body.phase === 'commit'))
      settling = true
    if (body.type === 'outcome' && body.ok && asked.has(body.step)) return 'done'
    if (body.type === 'outcome' && !body.ok && body.step === open?.step) {
      if (body.error === undefined || !isLost(body.error)) open = null
    }
    if (body.type !== 'intent' || body.side !== 'destination') continue
    if (body.op === 'rollback' || body.op === 'record') settling = false
    if (settling && ['stay', 'exec', 'release'].includes(body.op)) asked.add(body.step)
    if (settling && body.op === 'exec') open = { step: body.step, how: 'handing' }
    if (settling && body.op === 'stay') open = { step: body.step, how: 'holding' }
  }
  return open?.how ?? 'no'
}
