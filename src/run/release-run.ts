/** `ferry release`: the source of a committed run, or a holder, lets go of its devices. */
import { EXIT, FerryError } from '../errors.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { Client } from './find-sides.js'
import { EventStream } from './events.js'
import { takeUp } from './journal-again.js'
import type { SavedJournal } from './journal-read.js'
import type { Reach } from './recover-run.js'
import { RecoverySteps } from './recovery-steps.js'
import { newRunId } from './run-id.js'

export interface Released {
  readonly run: string | null
  readonly workload: string
  /** False: there was nothing left to release. */
  readonly released: boolean
  readonly devices: readonly string[]
}

/** Refuses unless the run is known to be done: what a source holds may be all there is of the workload. */
export async function releaseRun(saved: SavedJournal, stateDir: string, reach: Reach): Promise<Released> {
  const start = saved.records[0]?.body
  const end = saved.records.findLast(({ body }) => body.type === 'run-end')?.body
  if (start?.type !== 'run-start' || start.seats === undefined) {
    throw refusal(`${saved.path} is no journal of a migration`, 'only `ferry migrate` leaves a source behind')
  }
  const { run, seats } = start
  if (end?.type !== 'run-end')
    throw refusal(`run ${run} is not over`, `\`ferry status ${run}\` shows how it stands`)
  if (end.outcome !== 'done') {
    throw refusal(
      `run ${run} ended ${end.outcome}: the source may be the only one that has the workload`,
      `\`ferry recover ${run}\` finds out, and finishes it`,
    )
  }
  const { devices } = seats.source
  const done = { run, workload: seats.workload, devices }
  for (const socket of seats.source.sockets) {
    const client = await reach.attach('source', seats.source, socket)
    if (client === null) continue
    try {
      const status = await client.request('status', {})
      // A holder that took the workload up again since then is none of this run's business.
      if (status.run !== run) continue
      client.bind(run, 1 + saved.records.filter(({ body }) => body.type === 'recover-start').length)
      await journaled(saved, stateDir, run, client)
      return { ...done, released: true }
    } finally {
      await client.close()
    }
  }
  return { ...done, released: false }
}

async function journaled(saved: SavedJournal, stateDir: string, run: string, client: Client): Promise<void> {
  const journal = takeUp(saved, stateDir, run)
  const events = new EventStream(undefined, saved.records.at(-1))
  events.subscribe(journal.append)
  const after = Math.max(
    0,
    ...saved.records.flatMap(({ body }) => (body.type === 'intent' ? [body.step] : [])),
  )
  const steps = new RecoverySteps(events, { sides: { source: client, destination: null }, after })
  try {
    await steps.step({ side: 'source', op: 'release', params: {}, text: 'release the source' })
  } finally {
    journal.close()
  }
}

/** A holder closes what it holds; the workload's devices are reset by the kernel. */
export async function releaseHolder(workload: string, client: Client): Promise<Released> {
  const status = await client.request('status', {})
  if (status.run !== null) {
    throw refusal(
      `run ${status.run} is moving ${workload}`,
      `\`ferry cancel ${status.run}\` first, or let it end and \`ferry release ${status.run}\``,
    )
  }
  client.bind(newRunId(), 1)
  try {
    await client.request('release', {})
  } catch (error) {
    const { code, message } = errorBodyOf(error)
    throw new FerryError({ code, exit: EXIT.error, message: `${workload} was not released: ${message}` })
  }
  return { run: null, workload, released: true, devices: status.devices.map(({ device }) => device) }
}

function refusal(message: string, suggestion: string): FerryError {
  return new FerryError({ code: 'release/refused', exit: EXIT.error, message, suggestions: [suggestion] })
}
