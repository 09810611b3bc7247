/** `ferry recover`: finding both sides of an interrupted run, and finishing it in the only safe direction. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { OUTCOME_EXIT } from '../run/outcome.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody } from '../protocol/protocol.js'
import {
  choicesOf,
  decideFor,
  needsToken,
  NOTHING_SAID,
  tokenMissing,
  tokenOf,
  type FoundSides,
  type Saying,
} from './choices.js'
import type { DestinationFound, Recovery, SourceFound } from './decide.js'
import type { Outcome } from '../journal/event.js'
import { findDestination, findSource } from './find-sides.js'
import { lostStays } from './lost-device.js'
import { endedFor, givenUpAs, howSettled, locksOf, nextEpoch, startOf } from './left-run.js'
import { owedSide } from '../journal/unfinished.js'
import { readWhatIsLeft } from '../journal/read.js'
import { leftAt, type LeftAt } from '../run/left-at.js'
import { findOwed } from './owed.js'
import type { Client, Found, WholeClient } from './sides.js'
import type { RecoverInput, RecoveryResult } from './result.js'
import { resumeJournal, type ResumedJournal } from './resume-journal.js'
import { notDeadError } from './not-dead.js'
import { finishRun } from './finish.js'

/**
 * Takes the journal up again with the next epoch, so that late voices of the run are refused, and ends it with another
 * run-end. Safe to repeat: a run that is settled is found so. Throws only while nothing was asked of either side.
 */
export async function recoverRun(input: RecoverInput): Promise<RecoveryResult> {
  const { saved, stateDir } = input
  const { run, addresses } = startOf(saved)
  const said = input.said ?? NOTHING_SAID
  const givenUp = givenUpAs(saved)
  const over = givenUp ?? endedFor(saved)
  const owed = owedSide(saved)
  if (over !== null && owed !== null) return findOwed(input, over, owed)
  if (givenUp !== null) return { ...nothingLeft(run, givenUp), givenUp: true }
  if (over !== null && said.as === null && said.dead === null) return nothingLeft(run, over)
  if (over === 'done' && said.as === 'destination') return nothingLeft(run, over)
  if (over === 'done') throw alreadyDoneError(run)
  const journal = resumeJournal(saved, { run, stateDir, ...(input.onEvent && { onEvent: input.onEvent }) })
  const clients: (Client | null)[] = []
  try {
    const [source, destination] = await Promise.all([
      findSource(input.reach, addresses.source, run, locksOf(saved, 'source')),
      findDestination(input.reach, addresses.destination, {
        run,
        workload: addresses.workload,
        settled: howSettled(saved),
        locks: locksOf(saved, 'destination'),
      }),
    ])
    clients.push(source.client, destination.client)
    const left = over !== null ? null : leftAt(saved.records, saved.damaged)
    const kept = over === null && isKept(source, destination) && said.as === null && said.dead === null
    if (kept) {
      const went = left === null ? null : await goneOn(input, journal, { left, source, destination })
      if (went === 'undone') {
        // Its helpers are at it: they are asked anew, and not to go on.
        journal.close()
        await Promise.all(clients.splice(0).map(async (client) => client?.close()))
        const { goOn: _, ...rest } = input
        return await recoverRun({ ...rest, saved: readWhatIsLeft(saved.path) })
      }
      if (went !== null) return went
      await own([source, destination], run, nextEpoch(saved))
    }
    // Nothing of a run that is kept can run at the destination: a source that runs is to be rolled back like another.
    const at = kept ? ({ ...source, found: 'answers' } as const) : source
    const sides: FoundSides = { run, source: at.found, destination: destination.found }
    if (said.dead !== null && sides[said.dead] !== 'unreachable') throw notDeadError(run, said.dead)
    const fenced = needsToken(sides, said)
    const confirmed = !fenced || (await confirmedBy(input, sides, said))
    const decided = confirmed ? decideFor(sides, said) : tokenMissing(sides, said)
    return await carryOut(input, journal, {
      sides,
      source: at,
      destination,
      decided,
      said: fenced && confirmed ? said : null,
    })
  } finally {
    journal.close()
    for (const client of clients) await client?.close()
  }
}

function isKept(source: Found<SourceFound>, destination: Found<DestinationFound>): boolean {
  return source.beforeStop === true && destination.found === 'open'
}

/**
 * A helper that waits for an owner undoes its part and ends as soon as the other one drops the run; one that has an owner
 * is asked, and answers.
 */
async function own(sides: readonly Found[], run: string, epoch: number): Promise<void> {
  for (const { client } of sides) {
    client?.bind(run, epoch)
    // Refused by one that is undoing it already: the recovery finds out by its own requests.
    await client?.request('take-up', {}).catch(() => undefined)
  }
}

/** Null: it is to be undone; undone: one of the helpers has begun to undo it. */
async function goneOn(
  { goOn, saved }: RecoverInput,
  journal: ResumedJournal,
  { destination, left, source }: Pick<Decided, 'source' | 'destination'> & { readonly left: LeftAt },
): Promise<RecoveryResult | 'undone' | null> {
  if (goOn === undefined || source.client === null || destination.client === null) return null
  const [run, epoch] = [startOf(saved).run, nextEpoch(saved)]
  for (const client of [source.client, destination.client]) client.bind(run, epoch)
  const went = await goOn({
    saved,
    journal,
    // What reaches a side opens whole clients.
    source: source.client as WholeClient,
    destination: destination.client as WholeClient,
    left,
    epoch,
  })
  if (went === null) return 'undone'
  return {
    ...went,
    source: source.found,
    destination: destination.found,
    did: 'go-on',
    problems: [...source.problems, ...destination.problems, ...went.problems],
    choices: [],
    owed: null,
  }
}

/** Refusals that asking again does not change. */
const OF_PEOPLE: ReadonlySet<string> = new Set(['protocol/committed', 'tracker/process-not-woken'])

async function confirmedBy({ confirm }: RecoverInput, sides: FoundSides, said: Saying): Promise<boolean> {
  const choice = choicesOf(sides).find(({ as, dead }) => as === said.as && dead === said.dead)
  return confirm !== undefined && (await confirm(tokenOf(sides, said), choice?.effect ?? ''))
}

interface Decided {
  readonly sides: FoundSides
  readonly source: Found<SourceFound>
  readonly destination: Found<DestinationFound>
  readonly decided: Recovery
  /** What the decision rests on, with its token; null: on nothing but what was found. */
  readonly said: Saying | null
}

async function carryOut(
  { saved, version }: RecoverInput,
  journal: ResumedJournal,
  { decided, destination, said, sides, source }: Decided,
): Promise<RecoveryResult> {
  const { addresses, run } = startOf(saved)
  const { events } = journal
  const epoch = nextEpoch(saved)
  events.emit({ type: 'recover-start', epoch, version, ...(said !== null && { decided: said }) })
  const startedUs = events.nowUs()
  for (const client of [source.client, destination.client]) client?.bind(run, epoch)
  const step = journal.requestsTo({ source: source.client, destination: destination.client })
  const choices = choicesOf(sides)
  let result: { outcome: Outcome; error: HelperErrorBody | null }
  try {
    result = await finishRun(decided, { step, addresses, source, destination, run })
  } catch (error) {
    const body = errorBodyOf(error)
    const person =
      (error instanceof FerryError && error.exit === EXIT.needsPerson) || OF_PEOPLE.has(body.code)
    result = { outcome: person ? 'needs-person' : 'unknown', error: body }
  }
  result = lostStays(saved, result)
  events.emit({
    type: 'run-end',
    outcome: result.outcome,
    exit: OUTCOME_EXIT[result.outcome],
    ...(result.error !== null && { error: result.error }),
    elapsedUs: events.nowUs() - startedUs,
  })
  return {
    run,
    ...result,
    exit: OUTCOME_EXIT[result.outcome],
    source: source.found,
    destination: destination.found,
    did: decided.do,
    problems: [...source.problems, ...destination.problems],
    choices,
    owed: said?.dead ?? null,
  }
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
    ...{ run, outcome, exit: OUTCOME_EXIT[outcome], choices: [], owed: null },
    ...{ source: notAsked, destination: notAsked, did: 'nothing', error: null, problems: [] },
  }
}
