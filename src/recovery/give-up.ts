/**
 * `ferry release --give-up --dead SIDE`: a run whose other host is gone for good, and which `ferry recover` cannot finish
 * without it, is abandoned. What cannot be known is said, and the side that is gone stays owed: when it is found again,
 * `ferry recover` closes what it has of the run, or says that it runs.
 */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Event } from '../journal/event.js'
import type { SavedJournal } from '../journal/read.js'
import type { Role } from '../protocol/protocol.js'
import { decideFor, giveUpToken, type FoundSides } from './choices.js'
import type { DestinationFound, SourceFound } from './decide.js'
import { findDestination, findSource } from './find-sides.js'
import { endedFor, howSettled, locksOf, nextEpoch } from './left-run.js'
import { notDeadError } from './not-dead.js'
import { endedRun, releaseError, type Released } from './release.js'
import { resumeJournal } from './resume-journal.js'
import type { Reach } from './sides.js'

export interface GiveUpInput {
  readonly saved: SavedJournal
  readonly stateDir: string
  readonly version: string
  readonly reach: Reach
  /** The side whose host is gone for good. */
  readonly dead: Role
  /** Whether the person gives the token, who is told what is lost and what is not known. */
  readonly confirm: (token: string, effect: string) => Promise<boolean>
}
export interface GivenUp extends Released {
  readonly dead: Role
  /** What was found on either side. */
  readonly source: SourceFound
  readonly destination: DestinationFound
  /** What is not known of the side that is gone. */
  readonly unknown: string
}

/** Throws before anything is asked of a side to close; safe to repeat. */
export async function giveUpWithout(input: GiveUpInput): Promise<GivenUp> {
  const { confirm, dead, reach, saved, stateDir, version } = input
  const { addresses, end, run } = endedRun(saved)
  if (endedFor(saved) !== null || end.givenUp === true) {
    throw releaseError(
      `run ${run} is at rest: it ended ${end.outcome}${end.givenUp === true ? ' and was given up' : ''}`,
      `\`ferry recover ${run}\` looks for a side that was declared dead`,
    )
  }
  const journal = resumeJournal(saved, { run, stateDir })
  const [source, destination] = await Promise.all([
    findSource(reach, addresses.source, run, locksOf(saved, 'source')),
    findDestination(reach, addresses.destination, {
      run,
      workload: addresses.workload,
      settled: howSettled(saved),
      locks: locksOf(saved, 'destination'),
    }),
  ])
  const living = dead === 'source' ? destination : source
  try {
    const sides: FoundSides = { run, source: source.found, destination: destination.found }
    if (sides[dead] !== 'unreachable') throw notDeadError(run, dead)
    if (living.found === 'unreachable') throw neitherError(run, dead)
    const decided = decideFor(sides, { as: null, dead })
    if (decided.do !== 'refuse' || living.found === 'hidden') throw savableError(run, dead, living.found)
    const unknown = unknownOf(sides, dead)
    const effect = `what the ${other(dead)} has of the workload is closed and lost; ${unknown}`
    const token = giveUpToken(sides, dead)
    if (!(await confirm(token, effect))) throw tokenError(run, dead, token, effect)
    const epoch = nextEpoch(saved)
    journal.events.emit({ type: 'recover-start', epoch, version, decided: { as: null, dead } })
    const { client } = living
    const has = client !== null && HAS.has(living.found)
    if (has) {
      client.bind(run, epoch)
      const step = journal.requestsTo({ source: source.client, destination: destination.client })
      const side = other(dead)
      await step({ side, op: 'release', params: { giveUp: true }, text: `release the ${side}` })
    }
    const over: Event = { type: 'run-end', outcome: end.outcome, exit: end.exit, elapsedUs: 0, givenUp: true }
    journal.events.emit(over)
    const { devices } = addresses[other(dead)]
    const found = { source: source.found, destination: destination.found }
    return { run, workload: addresses.workload, released: has, devices, dead, ...found, unknown }
  } finally {
    journal.close()
    await Promise.all([source, destination].map(async ({ client }) => client?.close()))
  }
}

/** A helper of the run is there, with devices. */
const HAS: ReadonlySet<SourceFound | DestinationFound> = new Set(['answers', 'stuck', 'open', 'discarded'])

const COMMITTED: ReadonlySet<DestinationFound> = new Set(['stuck', 'gone-committed', 'gone-handing'])

function other(side: Role): Role {
  return side === 'source' ? 'destination' : 'source'
}

/** In words that do not say more than is known. */
function unknownOf({ destination, source }: FoundSides, dead: Role): string {
  if (dead === 'destination') {
    return source === 'gone-open'
      ? 'the source never committed, so the destination never ran; whether its helper still has its devices is not known'
      : 'whether the destination committed and runs, or ran, the workload is not known: should its host only be cut off, it may'
  }
  return COMMITTED.has(destination)
    ? 'the source committed, and never runs by itself; whether its helper still has its devices is not known'
    : 'whether the source committed, or runs the workload again, is not known: should its host only be cut off, it may'
}

function neitherError(run: string, dead: Role): FerryError {
  return releaseError(
    `neither side of run ${run} can be reached, and only the ${dead} was declared dead: the other one may have the workload`,
    `repair the connection to the ${other(dead)}, and try again`,
  )
}

function savableError(run: string, dead: Role, found: string): FerryError {
  return found === 'hidden'
    ? releaseError(
        `a process on the ${other(dead)} has the run's devices, and none of the run's sockets leads to it`,
        `\`ferry recover ${run}\` names it: look at that process first`,
      )
    : releaseError(
        `run ${run} need not be given up: \`ferry recover\` finishes it without the ${dead}`,
        `\`ferry recover ${run} --dead ${dead}\``,
      )
}

function tokenError(run: string, dead: Role, token: string, effect: string): FerryError {
  return new FerryError({
    code: 'recover/token',
    exit: EXIT.error,
    message: `giving run ${run} up without its ${dead} needs the token of this run as it is found now: ${effect}`,
    suggestions: [
      `\`ferry release ${run} --give-up --dead ${dead} --token ${token}\`, once you have looked`,
      `\`ferry recover ${run}\` prints what else can be decided`,
    ],
  })
}
