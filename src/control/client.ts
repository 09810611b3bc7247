/** Finding a run: under way, over, or left by a ferry that died. */
import { EXIT, FerryError } from '../errors.js'
import type { EventRecord } from '../run/event.js'
import { findJournal, readJournal, readStart } from '../run/journal-read.js'
import { statusOf, type RunStatus } from '../run/status.js'
import { RunConnection } from './connection.js'

export interface FoundRun {
  readonly run: string
  readonly journal: string
  /** Null when no ferry drives it any more. */
  readonly connection: RunConnection | null
  /** Of a run that is over or was left: what its journal holds. */
  readonly records: readonly EventRecord[]
}

/** The run that RUN means: an id, a prefix of just one, `last`, or the path of a journal. */
export async function findRun(stateDir: string, run: string): Promise<FoundRun> {
  const journal = findJournal(stateDir, run)
  const start = readStart(journal)?.body
  if (start?.type !== 'run-start') throw notBegun(journal)
  const connection = start.control === undefined ? null : await RunConnection.connect(start.control)
  const records = connection === null ? readJournal(journal).records : []
  return { run: start.run, journal, connection, records }
}

/** Whether a ferry drives the run at this moment. */
export async function isLive(journal: string): Promise<boolean> {
  const start = readStart(journal)?.body
  if (start?.type !== 'run-start' || start.control === undefined) return false
  const connection = await RunConnection.connect(start.control)
  connection?.close()
  return connection !== null
}

/** How a run stands, whoever is there to say. */
export async function runStatus(found: FoundRun): Promise<RunStatus> {
  const { connection, journal } = found
  if (connection === null) return statusOf(found.records)
  try {
    return revive(await connection.request('status', {}))
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== 'run/gone') throw error
    return statusOf(readJournal(journal).records)
  }
}

/** JSON has no bigints. */
export function revive(status: RunStatus): RunStatus {
  const { limits, round } = status
  const big = (value: bigint | string | null): bigint | null => (value === null ? null : BigInt(value))
  return {
    ...status,
    limits: { ...limits, bandwidth: big(limits.bandwidth) },
    round: round && {
      ...round,
      sentBytes: BigInt(round.sentBytes),
      roundBytes: BigInt(round.roundBytes),
      bytesPerSecond: big(round.bytesPerSecond),
      dirtyBytes: big(round.dirtyBytes),
    },
  }
}

/** The connection, or an error that says why there is none: the run is over, or its ferry died. */
export function liveConnection({ connection, records, run }: FoundRun): RunConnection {
  if (connection !== null) return connection
  const { ended } = statusOf(records)
  if (ended === null) throw died(run)
  throw new FerryError({
    code: 'run/over',
    exit: EXIT.error,
    message: `run ${run} is over: ${ended.outcome}`,
    suggestions: [`\`ferry report ${run}\` shows what happened`],
  })
}

export function died(run: string): FerryError {
  return new FerryError({
    code: 'run/died',
    exit: EXIT.unknown,
    message: `the ferry that drove run ${run} died, and nobody wrote down how the run ended`,
    suggestions: [
      `\`ferry recover ${run}\` asks both sides and finishes it in the only safe direction`,
      `\`ferry report ${run}\` shows how far it came`,
    ],
  })
}

function notBegun(journal: string): FerryError {
  return new FerryError({
    code: 'run/not-begun',
    exit: EXIT.error,
    message: `${journal} holds no whole record: the run has not begun, or did not come to`,
  })
}
