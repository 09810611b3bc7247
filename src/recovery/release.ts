/** `ferry release`: the source of a committed run, or a holder, closes its devices. */
import { FerryError, wireCode } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { Role } from '../protocol/protocol.js'
import type { Event, SideAddress, SideAddresses } from '../journal/event.js'
import { owedSide } from '../journal/unfinished.js'
import type { Client } from './sides.js'
import type { SavedJournal } from '../journal/read.js'
import type { Reach } from './sides.js'
import { nextEpoch } from './left-run.js'
import { resumeJournal } from './resume-journal.js'
import { newRunId } from '../journal/run-id.js'

type RunEnd = Extract<Event, { type: 'run-end' }>

export interface Released {
  readonly run: string | null
  readonly workload: string
  /** False: there was nothing left to release. */
  readonly released: boolean
  readonly devices: readonly string[]
}

/**
 * Refuses unless the run is known to be done: what a source holds may be all there is of the workload. With `giveUp`
 * both sides of a run that ended otherwise close what they have, and nothing of the workload is left.
 */
export async function releaseRun(
  saved: SavedJournal,
  stateDir: string,
  reach: Reach,
  giveUp = false,
): Promise<Released> {
  const { addresses, end, run } = endedRun(saved)
  if (end.outcome !== 'done' && !giveUp) {
    throw releaseError(
      `run ${run} ended ${end.outcome}: the source may be the only one that has the workload`,
      `\`ferry recover ${run}\` finds out, and finishes it`,
    )
  }
  const { devices } = addresses.source
  const sides: readonly Role[] = giveUp ? ['destination', 'source'] : ['source']
  const found: { side: Role; client: Client }[] = []
  try {
    for (const side of sides) {
      const client = await ofRun(reach, side, addresses[side], run).catch((error: unknown) => {
        throw giveUp ? withoutIt(error, run, side) : error
      })
      if (client !== null) found.push({ side, client })
    }
    if (found.length > 0 || giveUp)
      await journaled(saved, stateDir, run, { found, giveUp: giveUp ? end : null })
    return { run, workload: addresses.workload, devices, released: found.length > 0 }
  } finally {
    await Promise.all(found.map(({ client }) => client.close()))
  }
}

/** A migration that is over, whatever came of it. */
export function endedRun({ path, records }: SavedJournal): {
  readonly run: string
  readonly addresses: SideAddresses
  readonly end: RunEnd
} {
  const start = records[0]?.body
  const end = records.findLast(({ body }) => body.type === 'run-end')?.body
  if (start?.type !== 'run-start' || start.seats === undefined) {
    throw releaseError(
      `${path} is not the journal of a migration`,
      'only `ferry migrate` leaves a source behind',
    )
  }
  const { run, seats: addresses } = start
  if (end?.type !== 'run-end')
    throw releaseError(
      `run ${run} is not over`,
      `\`ferry status ${run}\` shows how it stands; \`ferry recover ${run}\` first, when no ferry drives it`,
    )
  return { run, addresses, end }
}

/** The helper that still has the run. A holder that took the workload up again since then is none of its business. */
async function ofRun(reach: Reach, side: Role, address: SideAddress, run: string): Promise<Client | null> {
  for (const socket of address.sockets) {
    const client = await reach.attach(side, address, socket)
    if (client === null) continue
    const status = await client.request('status', {})
    if (status.run === run) return client
    await client.close()
  }
  return null
}

async function journaled(
  saved: SavedJournal,
  stateDir: string,
  run: string,
  {
    found,
    giveUp,
  }: {
    readonly found: readonly { readonly side: Role; readonly client: Client }[]
    /** How the run had ended; null: it is not given up. */
    readonly giveUp: RunEnd | null
  },
): Promise<void> {
  const journal = resumeJournal(saved, { run, stateDir })
  const of = (side: Role): Client | null => found.find((entry) => entry.side === side)?.client ?? null
  const step = journal.requestsTo({ source: of('source'), destination: of('destination') })
  try {
    for (const { client, side } of found) {
      client.bind(run, nextEpoch(saved) - 1)
      await step({
        side,
        op: 'release',
        params: giveUp === null ? {} : { giveUp: true },
        text: `release the ${side}`,
      })
    }
    if (giveUp !== null) {
      const { exit, outcome } = giveUp
      // Both sides were asked: one that was declared dead before is closed now, too.
      const found = owedSide(saved)
      const end = { type: 'run-end', outcome, exit, elapsedUs: 0, givenUp: true } as const
      journal.events.emit({ ...end, ...(found !== null && { found }) })
    }
  } finally {
    journal.close()
  }
}

/** A holder closes what it holds; the workload's devices are reset by the kernel. */
export async function releaseHolder(workload: string, client: Client): Promise<Released> {
  const status = await client.request('status', {})
  if (status.run !== null) {
    throw releaseError(
      `run ${status.run} is moving ${workload}`,
      `\`ferry cancel ${status.run}\` first, or let it end and \`ferry release ${status.run}\``,
    )
  }
  client.bind(newRunId(), 1)
  try {
    await client.request('release', {})
  } catch (error) {
    const { code, message } = errorBodyOf(error)
    throw new FerryError({
      code: wireCode(code),
      exit: EXIT.error,
      message: `${workload} was not released: ${message}`,
    })
  }
  return { run: null, workload, released: true, devices: status.devices.map(({ device }) => device) }
}

/** A host that is gone for good need not keep the run from being given up. */
function withoutIt(error: unknown, run: string, side: Role): unknown {
  if (!(error instanceof FerryError)) return error
  const more = `when its host is gone for good: \`ferry release ${run} --give-up --dead ${side}\``
  return new FerryError({ ...error.info, suggestions: [...error.suggestions, more] })
}

export function releaseError(message: string, suggestion: string): FerryError {
  return new FerryError({ code: 'release/refused', exit: EXIT.error, message, suggestions: [suggestion] })
}
