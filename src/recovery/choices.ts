/** What only a person can decide about a run, each with the token that has to be given with it. */
import { createHash } from 'node:crypto'
import type { Role } from '../protocol/protocol.js'
import {
  decideRecovery,
  type DestinationFound,
  type Recovery,
  type Refusal,
  type SourceFound,
} from './decide.js'

/** What a person says of a run. */
export interface Saying {
  /** Which side is to have the workload. */
  readonly as: Role | null
  /** Whose host is dead. */
  readonly dead: Role | null
}
export const NOTHING_SAID: Saying = { as: null, dead: null }

export interface Choice extends Saying {
  readonly token: string
  readonly did: Recovery['do']
  /** What it would do, for people. */
  readonly effect: string
}
/** Both sides as they were found, before anything is declared. */
export interface FoundSides {
  readonly run: string
  readonly source: SourceFound
  readonly destination: DestinationFound
}

/** The decision for two sides, with what a person says of them. */
export function decideFor({ destination, source }: FoundSides, { as, dead }: Saying): Recovery {
  return decideRecovery(dead === 'source' ? 'dead' : source, dead === 'destination' ? 'dead' : destination, {
    as,
  })
}

/** Whether this decision rests on a person's word: without it another one would be taken. */
export function needsToken(sides: FoundSides, saying: Saying): boolean {
  const [said, unsaid] = [decideFor(sides, saying), decideFor(sides, NOTHING_SAID)]
  return said.do !== 'refuse' && JSON.stringify(said) !== JSON.stringify(unsaid)
}

/** Refuses, as it would without a person's word: the token was not given, or is of another state or decision. */
export function tokenMissing(sides: FoundSides, saying: Saying): Refusal {
  const unsaid = decideFor(sides, NOTHING_SAID)
  const outcome = unsaid.do === 'refuse' ? unsaid.outcome : 'needs-person'
  const why = unsaid.do === 'refuse' ? `; ${unsaid.why}` : ''
  return {
    do: 'refuse',
    outcome,
    code: 'recover/token',
    why: `what only a person can decide needs the token of this run as it is found now${why}`,
    remedy: `\`${choiceCommand(sides.run, { ...saying, token: tokenOf(sides, saying) })}\`, once you have looked`,
  }
}

/**
 * Of this run, these sides as they are found, and this decision: a token that was printed for another state of either side,
 * or for another decision, does not fit.
 */
export function tokenOf({ destination, run, source }: FoundSides, { as, dead }: Saying): string {
  return hashed(run, source, destination, as ?? '-', dead ?? '-')
}

/** As `tokenOf`, of giving the run up without the side that is dead. */
export function giveUpToken({ destination, run, source }: FoundSides, dead: Role): string {
  return hashed(run, source, destination, 'give-up', dead)
}

function hashed(...seen: readonly string[]): string {
  return createHash('sha256').update(seen.join(' ')).digest('hex').slice(0, 6)
}

/** Everything a person can make happen where Ferry alone refuses; the least said for each. */
export function choicesOf(sides: FoundSides): readonly Choice[] {
  if (decideFor(sides, NOTHING_SAID).do !== 'refuse') return []
  const sayings = [null, 'source' as const, 'destination' as const].flatMap((dead) =>
    [null, 'source' as const, 'destination' as const].map((as): Saying => ({ as, dead })),
  )
  const choices: Choice[] = []
  for (const saying of sayings) {
    if (saying.dead !== null && sides[saying.dead] !== 'unreachable') continue
    const decided = decideFor(sides, saying)
    if (decided.do === 'refuse') continue
    const did = decided.do
    if (choices.some((known) => known.did === did && known.dead === saying.dead)) continue
    choices.push({ ...saying, token: tokenOf(sides, saying), did, effect: effectOf(decided) })
  }
  return choices
}

/** The command that takes the choice. */
export function choiceCommand(
  run: string,
  { as, dead, token }: Pick<Choice, 'as' | 'dead' | 'token'>,
): string {
  const flags = [
    ...(dead === null ? [] : [`--dead ${dead}`]),
    ...(as === null ? [] : [`--as ${as}`]),
    `--token ${token}`,
  ]
  return `ferry recover ${run} ${flags.join(' ')}`
}

function effectOf(decided: Exclude<Recovery, { readonly do: 'refuse' }>): string {
  switch (decided.do) {
    case 'go-back':
      return 'the source runs as it was at the cutover, without what the destination did since'
    case 'finish':
      return 'the destination runs with what it received'
    case 'settle':
      return 'the destination keeps the workload'
    case 'nothing':
      return decided.outcome === 'done'
        ? 'the run is done: the destination has the workload'
        : 'the run is rolled back: the source has the workload'
  }
}
