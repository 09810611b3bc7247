/** `ferry recover`: finding both sides of an interrupted run, and finishing it in the only safe direction. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { OUTCOME_EXIT } from '../run/outcome.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody, Role } from '../protocol/protocol.js'
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
import { endedFor, howSettled, nextEpoch, startOf } from './left-run.js'
import { owedSide } from '../journal/unfinished.js'
import { findOwed } from './owed.js'
import type { Client, Found } from './sides.js'
import type { RecoverInput, RecoveryResult } from './result.js'
import { resumeJournal, type ResumedJournal } from './resume-journal.js'
import { finishRun } from './finish.js'

/**
 * Takes the journal up again with the next epoch, so that late voices of the run are refused, and ends it with another
 * run-end. Safe to repeat: a run that is settled is found so. Throws only while nothing was asked of either side.
 */
export async function recoverRun(input: RecoverInput): Promise<RecoveryResult> {
  const { saved, stateDir } = input
  const { run, addresses } = startOf(saved)
  const said = input.said ?? NOTHING_SAID
  const over = endedFor(saved)
  const owed = owedSide(saved)
  if (over !== null && owed !== null) return findOwed(input, over, owed)
  if (over !== null && said.as === null && said.dead === null) return nothingLeft(run, over)
  if (over === 'done' && said.as === 'destination') return nothingLeft(run, over)
  if (over === 'done') throw alreadyDoneError(run)
  const journal = resumeJournal(saved, { run, stateDir, ...(input.onEvent && { onEvent: input.onEvent }) })
  const clients: (Client | null)[] = []
  try {
    const [source, destination] = await Promise.all([
      findSource(input.reach, addresses.source, run),
      findDestination(input.reach, addresses.destination, {
        run,
        workload: addresses.workload,
        settled: howSettled(saved),
      }),
    ])
    clients.push(source.client, destination.client)
    const sides: FoundSides = { run, source: source.found, destination: destination.found }
    if (said.dead !== null && sides[said.dead] !== 'unreachable') throw notDeadError(run, said.dead)
    const fenced = needsToken(sides, said)
    const confirmed = !fenced || (await confirmedBy(input, sides, said))
    const decided = confirmed ? decideFor(sides, said) : tokenMissing(sides, said)
    return await carryOut(input, journal, {
      sides,
      source,
      destination,
      decided,
      said: fenced && confirmed ? said : null,
    })
  } finally {
    journal.close()
    for (const client of clients) await client?.close()
  }
}

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
      (error instanceof FerryError && error.exit === EXIT.needsPerson) || body.code === 'protocol/committed'
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

function notDeadError(run: string, side: Role): FerryError {
  return new FerryError({
    code: 'recover/not-dead',
    exit: EXIT.error,
    message: `the ${side} of run ${run} was reached: it is not dead`,
    suggestions: [`\`ferry recover ${run}\` asks it`],
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
