/**
 * What `ferry recover` does with an interrupted run, decided from what both sides are found to be and from what a person
 * says. Pure, so that the table can be tried in full.
 */
import type { Role } from '../protocol/protocol.js'

/** A source as it is found. */
export type SourceFound =
  /** Its helper answers, with the run's devices stopped or about to be; it may have recorded COMMIT. */
  | 'answers'
  /** Its helper answers and its devices run: the run was rolled back, or a holder went back to holding. */
  | 'runs'
  /** Its helper wrote down that every device ran again, as it was, before it closed them. */
  | 'ran'
  /** Its helper answers and was released, or left before, after a commit: nothing of the run is left there. */
  | 'released'
  | 'gone-committed'
  /** Its helper is gone and never recorded COMMIT. */
  | 'gone-open'
  /** Its helper is gone, and its record cannot be read. */
  | 'gone-unknown'
  /** A process has its devices locked, and none of the run's sockets leads to it: it may be the run's helper. */
  | 'hidden'
  | 'unreachable'
  /** It cannot be reached, and a person says that its host is dead. */
  | 'dead'

/** A destination as it is found. */
export type DestinationFound =
  | 'runs'
  /** It ran, and a holder holds it as the profile says. */
  | 'settled'
  /** It ran, and its devices were handed on, held or closed as the profile says; where they are now is not recorded. */
  | 'gone-settled'
  /** It recorded COMMIT and could not start every device. */
  | 'stuck'
  /** Its helper answers and has no COMMIT. */
  | 'open'
  | 'discarded'
  | 'gone-committed'
  /** As gone-committed, after it was asked to start the profile's command: it is not recorded whether it did. */
  | 'gone-handing'
  /** Its helper is gone, and its record cannot be read: it may say COMMIT. */
  | 'gone-unknown'
  | 'gone-open'
  | 'gone-discarded'
  | 'hidden'
  | 'unreachable'
  | 'dead'

export type Recovery =
  /** The destination runs: what becomes of its devices, then the source closes its own. */
  | { readonly do: 'settle' }
  /** The source recorded COMMIT and is gone: the destination is told so, runs, and is settled. */
  | { readonly do: 'finish' }
  /** The destination gives the run up, then the source runs again. */
  | { readonly do: 'go-back'; readonly discard: 'ask' | 'record' | 'none' }
  | { readonly do: 'nothing'; readonly outcome: 'done' | 'rolled-back' }
  | Refusal
export interface Refusal {
  readonly do: 'refuse'
  readonly outcome: 'needs-person' | 'sides-disagree' | 'unknown'
  readonly why: string
  readonly remedy: string
  /** Absent: that of its outcome. */
  readonly code?: 'recover/token'
}

const GONE = new Set<SourceFound>(['gone-committed', 'gone-open', 'gone-unknown', 'ran', 'dead'])

/**
 * INVARIANTS (one runner): `go-back` only when the destination can never run this run again: it answers without COMMIT
 * and is told to discard, or is gone and its record says, or is made to say, discarded; only a person's `as: source`
 * overrides it, for a destination whose helper is gone, and with it its devices, or whose host a person declared dead.
 * `finish` only when the source recorded COMMIT and its helper is gone, or a person's `as: destination` says so for a
 * source whose helper is gone or whose host was declared dead, or for a destination that has COMMIT already.
 * Whatever `as` says, nothing is done that would make the other side run, and nothing at all while a process may be there
 * that nothing leads to.
 */
export function decideRecovery(
  source: SourceFound,
  destination: DestinationFound,
  { as }: { readonly as: Role | null },
): Recovery {
  if (source === 'hidden' || destination === 'hidden')
    return hidden(source === 'hidden' ? 'source' : 'destination')
  const decided = direction(source, destination, as)
  const has = holderAfter(decided)
  if (as === null || has === null || has === as) return decided
  return person(
    has === 'destination'
      ? 'the workload is, or was, on the destination, and cannot be given to the source'
      : 'the destination never ran, and the source has the workload or can run it again',
    `\`ferry recover RUN\` without --as does what is safe`,
  )
}

/** Which side has the workload after it; null: nothing is decided. */
function holderAfter(decided: Recovery): Role | null {
  switch (decided.do) {
    case 'refuse':
      return null
    case 'nothing':
      return decided.outcome === 'done' ? 'destination' : 'source'
    case 'go-back':
      return 'source'
    case 'settle':
    case 'finish':
      return 'destination'
  }
}

function direction(
  source: Exclude<SourceFound, 'hidden'>,
  destination: Exclude<DestinationFound, 'hidden'>,
  as: Role | null,
): Recovery {
  switch (destination) {
    case 'unreachable':
      return unknown(
        'the destination cannot be reached, and only it knows whether it runs',
        source === 'answers' ? 'the source keeps its devices stopped until then; ' : '',
      )
    case 'dead':
      return destinationDead(source, as)
    case 'stuck':
      if (as === 'destination' && source !== 'runs' && source !== 'unreachable') return { do: 'finish' }
      return person(
        'the destination has committed and could not start every device',
        'look at its devices with `ferry devices` there, and repair them; the source must stay stopped. ' +
          '`ferry release RUN --give-up` closes both sides when nothing can be saved',
      )
    case 'runs':
    case 'settled':
    case 'gone-settled':
      return destinationRuns(source, destination)
    case 'gone-committed':
    case 'gone-handing':
    case 'gone-unknown':
      return destinationLost(source, destination, as)
    case 'open':
      return destinationWaits(source, as)
    case 'discarded':
    case 'gone-discarded':
    case 'gone-open':
      if (source === 'unreachable') {
        return unknown('the destination has nothing of the run, and the source cannot be reached', '')
      }
      if (source === 'dead')
        return nothingLeft("the destination has nothing of the run, and the source's host is dead", 'source')
      if (destination === 'gone-open') return { do: 'go-back', discard: 'record' }
      if (source === 'runs' || source === 'ran') return { do: 'nothing', outcome: 'rolled-back' }
      return { do: 'go-back', discard: 'none' }
  }
}

function destinationWaits(source: SourceFound, as: Role | null): Recovery {
  switch (source) {
    case 'unreachable':
      return unknown(
        'the destination has all of the run and waits, and the source, which may have committed, cannot be reached',
        '',
      )
    case 'gone-committed':
      return { do: 'finish' }
    case 'dead':
    case 'gone-unknown':
      if (as === 'destination') return { do: 'finish' }
      return person(
        source === 'dead'
          ? "the destination has all of the run and waits, and the source's host is dead"
          : "the destination has all of the run and waits; the source's helper is gone, and its record cannot be read",
        'only a person can tell that neither the source nor a workload that was started from it runs',
      )
    default:
      return { do: 'go-back', discard: 'ask' }
  }
}

function destinationRuns(source: SourceFound, destination: DestinationFound): Recovery {
  if (source === 'runs') {
    return {
      do: 'refuse',
      outcome: 'sides-disagree',
      why: 'the devices run on both sides',
      remedy: 'stop one of the workloads at once; only you can tell which of them is the right one',
    }
  }
  if (source === 'unreachable') {
    return unknown('the destination runs, but the source cannot be reached to close its devices', '')
  }
  if (destination !== 'runs' && source !== 'answers') return { do: 'nothing', outcome: 'done' }
  return { do: 'settle' }
}

function destinationDead(source: SourceFound, as: Role | null): Recovery {
  switch (source) {
    case 'unreachable':
    case 'dead':
      return unknown('neither side can be reached', '')
    case 'runs':
    case 'ran':
      return { do: 'nothing', outcome: 'rolled-back' }
    case 'answers':
      if (as === 'source') return { do: 'go-back', discard: 'none' }
      return person(
        "the destination's host is dead, and the source still holds the workload as it was at the cutover",
        'what the destination did since is not in it: only a person can decide to run it',
      )
    default:
      return nothingLeft("the destination's host is dead, and the source's helper has ended", 'destination')
  }
}

function destinationLost(
  source: SourceFound,
  destination: 'gone-committed' | 'gone-handing' | 'gone-unknown',
  as: Role | null,
): Recovery {
  if (source === 'unreachable') {
    return unknown("the destination's helper ended after its commit, and the source cannot be reached", '')
  }
  if (source === 'answers' && as === 'source') return { do: 'go-back', discard: 'none' }
  if (destination === 'gone-handing') {
    return person(
      'the destination has committed and was asked to start the command of the profile; it is not recorded whether the command has the devices',
      'look for the command there. While it runs, the source must stay stopped' +
        (source === 'answers' ? '; only if it does not, a person may decide to run the source' : ''),
    )
  }
  const what =
    destination === 'gone-unknown'
      ? 'the record of the destination cannot be read, and its helper has ended: whether it committed is not known'
      : 'the destination has committed, and its helper has ended: the kernel closed its devices'
  if (GONE.has(source) || source === 'released') return nothingLeft(what, source === 'dead' ? 'source' : null)
  return person(
    what,
    source === 'answers'
      ? 'the source still holds the workload as it was at the cutover, without what the destination did since: ' +
          'only a person can decide to run it'
      : 'the source runs: look at the destination’s devices before they are used',
  )
}

function hidden(side: Role): Refusal {
  return person(
    `a process on the ${side} has the run's devices, and none of the run's sockets leads to it`,
    'look at that process: while it lives, neither side may be started. If it is the run’s own helper, end it only when ' +
      'the workload may be lost there, then run `ferry recover RUN` again',
  )
}

function nothingLeft(why: string, dead: Role | null = null): Refusal {
  const without = dead === null ? '' : ` --dead ${dead}`
  const left = dead === null ? 'on either side' : 'that can be reached'
  return person(
    why,
    `nothing of the run is left ${left}: start the workload anew; \`ferry release RUN --give-up${without}\` ends the run`,
  )
}

function person(why: string, remedy: string): Refusal {
  return { do: 'refuse', outcome: 'needs-person', why, remedy }
}

function unknown(why: string, more: string): Refusal {
  return {
    do: 'refuse',
    outcome: 'unknown',
    why,
    remedy: `${more}repair the connection to it and run \`ferry recover RUN\` again`,
  }
}
