/**
 * A run that was ended without one of its sides, because a person declared its host dead. When that side is found again,
 * it must not run what the other side has: this closes or drops what it still has, or says that both run.
 */
import { OUTCOME_EXIT } from '../run/outcome.js'
import type { Outcome } from '../journal/event.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody, Role } from '../protocol/protocol.js'
import type { RunSession } from '../phases/phase.js'
import type { DestinationFound, SourceFound } from './decide.js'
import { findDestination, findSource } from './find-sides.js'
import { givenUpAs, howSettled, nextEpoch, startOf } from './left-run.js'
import type { RecoverInput, RecoveryResult } from './result.js'
import { resumeJournal } from './resume-journal.js'

type Step = RunSession['step']
type Fencing = 'close' | 'discard' | 'record' | 'nothing' | 'runs' | 'unreachable'

/** What is done about a side that comes back. Pure. */
export function fencingOf(side: 'source', found: SourceFound): Fencing
export function fencingOf(side: 'destination', found: DestinationFound): Fencing
export function fencingOf(side: Role, found: SourceFound | DestinationFound): Fencing {
  switch (found) {
    case 'unreachable':
    case 'dead':
      return 'unreachable'
    case 'runs':
    case 'settled':
      return 'runs'
    // Its command, or whatever took its devices, may run.
    case 'gone-settled':
    case 'gone-handing':
      return 'runs'
    case 'answers':
    case 'stuck':
      return 'close'
    case 'open':
      return 'discard'
    case 'gone-open':
      return side === 'destination' ? 'record' : 'nothing'
    default:
      return 'nothing'
  }
}

export async function findOwed(input: RecoverInput, over: Outcome, side: Role): Promise<RecoveryResult> {
  const { reach, saved, stateDir, version } = input
  const { addresses, run } = startOf(saved)
  const givenUp = givenUpAs(saved) !== null && { givenUp: true as const }
  const journal = resumeJournal(saved, { run, stateDir, ...(input.onEvent && { onEvent: input.onEvent }) })
  const { events } = journal
  const address = addresses[side]
  const { workload } = addresses
  const other = 'not-asked'
  try {
    const [found, fencing] =
      side === 'source'
        ? await findSource(reach, address, run).then((it) => [it, fencingOf('source', it.found)] as const)
        : await findDestination(reach, address, { run, workload, settled: howSettled(saved) }).then(
            (it) => [it, fencingOf('destination', it.found)] as const,
          )
    const { client } = found
    const result = (outcome: Outcome, error: HelperErrorBody | null, owed: Role | null): RecoveryResult => ({
      ...{ run, outcome, exit: OUTCOME_EXIT[outcome], error, owed, choices: [] },
      ...{ source: other, destination: other, [side]: found.found },
      did:
        fencing === 'nothing' || fencing === 'unreachable'
          ? 'nothing'
          : fencing === 'runs'
            ? 'refuse'
            : 'settle',
      problems: found.problems,
      ...givenUp,
    })
    try {
      if (fencing === 'unreachable') return result(over, null, side)
      // Nothing is stopped by itself: only a person knows which of the two is right.
      if (fencing === 'runs') return result('sides-disagree', bothRun(side, run, givenUp !== false), side)
      const epoch = nextEpoch(saved)
      events.emit({ type: 'recover-start', epoch, version })
      client?.bind(run, epoch)
      const step = journal.requestsTo({ source: null, destination: null, [side]: client })
      const error = await fence(step, side, fencing, { recordDir: address.recordDir, run })
      const elapsedUs = 0
      events.emit({
        type: 'run-end',
        outcome: over,
        exit: OUTCOME_EXIT[over],
        elapsedUs,
        ...(error === null && { found: side }),
        ...givenUp,
      })
      return result(over, error, error === null ? null : side)
    } finally {
      await client?.close()
    }
  } finally {
    journal.close()
  }
}

async function fence(
  step: Step,
  side: Role,
  fencing: Fencing,
  { recordDir, run }: { readonly recordDir: string; readonly run: string },
): Promise<HelperErrorBody | null> {
  try {
    if (fencing === 'discard') {
      await step({ side, op: 'rollback', params: {}, text: `discard the run on the ${side}` })
      await step({ side, op: 'release', params: {}, text: `release the ${side}` })
    } else if (fencing === 'record') {
      const params = { recordDir, run, role: side, discard: true }
      await step({ side, op: 'record', params, text: 'record that the run is discarded' })
    } else if (fencing === 'close') {
      await step({ side, op: 'release', params: { giveUp: true }, text: `close the devices on the ${side}` })
    }
    return null
  } catch (error) {
    return errorBodyOf(error)
  }
}

function bothRun(side: Role, run: string, givenUp: boolean): HelperErrorBody {
  if (givenUp) {
    return {
      code: 'recover/not-dead',
      message: `the ${side} was declared dead when the run was given up, and it runs the workload, or may: if that was started anew since, it runs twice`,
      suggestion:
        'stop one of the workloads at once; only you can tell which of them is the right one. ' +
        `\`ferry release ${run} --give-up\` closes what the ${side} has of the run`,
    }
  }
  return {
    code: 'recover/not-dead',
    message: `the ${side} was declared dead, and it runs the workload, or may: the other side has it too`,
    suggestion:
      'stop one of the workloads at once; only you can tell which of them is the right one. ' +
      `\`ferry recover ${run}\` looks again`,
  }
}
