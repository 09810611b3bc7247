/**
 * What `ferry recover` does with an interrupted run, decided from what both sides are found to be. Pure, so
 * that the table can be tried in full.
 */

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
  | 'unreachable'

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
  | 'gone-open'
  | 'gone-discarded'
  | 'unreachable'

export type Recovery =
  /** The destination runs: what becomes of its devices, then the source closes its own. */
  | { readonly do: 'settle' }
  /** The source recorded COMMIT and is gone: the destination is told so, runs, and is settled. */
  | { readonly do: 'finish' }
  /** The destination gives the run up, then the source runs again. */
  | { readonly do: 'go-back'; readonly discard: 'ask' | 'record' | 'none' }
  | { readonly do: 'nothing'; readonly outcome: 'done' | 'rolled-back' }
  | {
      readonly do: 'refuse'
      readonly outcome: 'needs-person' | 'sides-disagree' | 'unknown'
      readonly why: string
      readonly remedy: string
    }

const GONE = new Set<SourceFound>(['gone-committed', 'gone-open', 'ran'])

/**
 * INVARIANTS (one runner): `go-back` only when the destination can never run this run again: it answers without COMMIT
 * and is told to discard, or is gone and its record says, or is made to say, discarded; `resumeSource` alone overrides
 * it, for a destination whose helper is gone, and with it its devices, unless a command was given them: then anyone who
 * gives the flag was told to look. `finish` only when the source recorded COMMIT and
 * its helper is gone.
 */
export function decideRecovery(
  source: SourceFound,
  destination: DestinationFound,
  options: { readonly resumeSource: boolean },
): Recovery {
  switch (destination) {
    case 'unreachable':
      return unknown(
        'the destination cannot be reached, and only it knows whether it runs',
        source === 'answers' ? 'the source keeps its devices stopped until then; ' : '',
      )
    case 'stuck':
      return person(
        'the destination has committed and could not start every device',
        'look at its devices with `ferry devices` there; the source must stay stopped. `ferry release RUN --give-up` ' +
          'closes both sides when nothing can be saved',
      )
    case 'runs':
    case 'settled':
    case 'gone-settled':
      // --resume-source must not close the source instead.
      if (options.resumeSource && source === 'answers') {
        return person(
          destination === 'gone-settled'
            ? 'the destination ran, and its devices were held, handed on or closed as the profile says: the workload ' +
                'may run anywhere by now'
            : 'the destination has the workload and runs',
          'the source stays stopped; `ferry recover RUN` without --resume-source ends the run and closes its devices',
        )
      }
      return destinationRuns(source, destination)
    case 'gone-committed':
    case 'gone-handing':
      return destinationLost(source, destination, options.resumeSource)
    case 'open':
      if (source === 'unreachable') {
        return unknown(
          'the destination has all of the run and waits, and the source, which may have committed, cannot be reached',
          '',
        )
      }
      if (source === 'gone-committed') return { do: 'finish' }
      return { do: 'go-back', discard: 'ask' }
    case 'discarded':
    case 'gone-discarded':
    case 'gone-open':
      if (source === 'unreachable') {
        return unknown('the destination has nothing of the run, and the source cannot be reached', '')
      }
      if (destination === 'gone-open') return { do: 'go-back', discard: 'record' }
      if (source === 'runs' || source === 'ran') return { do: 'nothing', outcome: 'rolled-back' }
      return { do: 'go-back', discard: 'none' }
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

function destinationLost(
  source: SourceFound,
  destination: 'gone-committed' | 'gone-handing',
  resumeSource: boolean,
): Recovery {
  if (source === 'unreachable') {
    return unknown("the destination's helper ended after its commit, and the source cannot be reached", '')
  }
  if (source === 'answers' && resumeSource) return { do: 'go-back', discard: 'none' }
  if (destination === 'gone-handing') {
    return person(
      'the destination has committed and was asked to start the command of the profile; it is not recorded whether the command has the devices',
      'look for the command there. While it runs, the source must stay stopped' +
        (source === 'answers'
          ? '; only if it does not, `ferry recover RUN --resume-source` runs the source'
          : ''),
    )
  }
  const what = 'the destination has committed, and its helper has ended: the kernel closed its devices'
  if (GONE.has(source) || source === 'released') {
    return person(what, 'nothing of the run is left on either side: start the workload anew')
  }
  return person(
    what,
    source === 'answers'
      ? 'the source still holds the workload as it was at the cutover: `ferry recover RUN --resume-source` runs it ' +
          'there, without what the destination did since'
      : 'the source runs: look at the destination’s devices before they are used',
  )
}

function person(why: string, remedy: string): Recovery {
  return { do: 'refuse', outcome: 'needs-person', why, remedy }
}

function unknown(why: string, more: string): Recovery {
  return {
    do: 'refuse',
    outcome: 'unknown',
    why,
    remedy: `${more}repair the connection to it and run \`ferry recover RUN\` again`,
  }
}
