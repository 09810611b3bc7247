/** Finding a run: under way, over, or left by a ferry that died. */
import { basename } from 'node:path'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Event, EventRecord } from '../journal/event.js'
import { driverOf } from '../journal/lock.js'
import { findJournal, readStart, readWhatIsLeft } from '../journal/read.js'
import { statusOf, type RunStatus } from '../journal/status.js'
import { RunConnection } from './connection.js'
import { lastingFolder, runSocket } from './runtime-folder.js'

/** A ferry that just ended is a process for a moment more, and one whose socket went has another soon. */
const TRIES = 20
const PAUSE_MS = 100

type RunStart = Extract<Event, { type: 'run-start' }>

export interface FoundRun {
  readonly run: string
  readonly journal: string
  /** Null when no ferry drives it any more. */
  readonly connection: RunConnection | null
  /** A process that drives it although it cannot be asked: the run goes on, its socket is gone. */
  readonly driver: number | null
  /** Of a run that is over or was left: what its journal holds. */
  readonly records: readonly EventRecord[]
}

/** The run that RUN means: an id, a prefix of just one, `last`, or the path of a journal. */
export async function findRun(stateDir: string, run: string): Promise<FoundRun> {
  const journal = findJournal(stateDir, run)
  const start = beginningOf(stateDir, journal)
  const { run: id } = start
  for (let left = TRIES; ; left--) {
    const connection = await connect(stateDir, start)
    if (connection !== null) return { run: id, journal, connection, driver: null, records: [] }
    const { records } = readWhatIsLeft(journal)
    // Another's end, or one who recovers the run, is no ferry that drives it.
    const over = records.some(
      ({ body }) => body.type === 'run-end' || (body.type === 'recover-start' && body.goesOn !== true),
    )
    const driver = over ? null : driverOf(stateDir, id)
    if (driver === null || left === 0 || start.control === undefined)
      return { run: id, journal, connection, driver, records }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/** Throws run/not-begun while its ferry may be about to write it, journal/broken when it was lost. */
function beginningOf(stateDir: string, journal: string): RunStart {
  const start = readStart(journal)?.body
  if (start?.type === 'run-start') return start
  if (driverOf(stateDir, basename(journal, '.ndjson')) !== null) throw notBegunError(journal)
  const first = readWhatIsLeft(journal).records[0]?.body
  if (first?.type !== 'run-start') throw notBegunError(journal)
  return first
}

/** At the socket it was given, or where it went when that was gone. */
async function connect(stateDir: string, { control, run }: RunStart): Promise<RunConnection | null> {
  if (control === undefined) return null
  return (
    (await RunConnection.connect(control)) ??
    (await RunConnection.connect(runSocket(lastingFolder(stateDir), run)))
  )
}

/** Whether a ferry drives the run at this moment. */
export async function isLive(stateDir: string, journal: string): Promise<boolean> {
  const start = readStart(journal)?.body
  if (start?.type !== 'run-start') return false
  const connection = await connect(stateDir, start)
  connection?.close()
  return connection !== null
}

/** How a run stands: from the run itself, or from its journal. */
export async function runStatus(found: FoundRun): Promise<RunStatus> {
  const { connection, journal } = found
  if (connection === null) return statusOf(found.records)
  try {
    return revive(await connection.request('status', {}))
  } catch (error) {
    if (!(error instanceof FerryError) || error.code !== 'run/gone') throw error
    return statusOf(readWhatIsLeft(journal).records)
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

/** The connection, or an error that says why there is none: the run is over, out of reach, or its ferry died. */
export function liveConnection({ connection, driver, records, run }: FoundRun): RunConnection {
  if (connection !== null) return connection
  const { ended } = statusOf(records)
  if (ended === null) throw driverGoneError({ driver, run })
  throw new FerryError({
    code: 'run/over',
    exit: EXIT.error,
    message: `run ${run} is over: ${ended.outcome}`,
    suggestions: [`\`ferry report ${run}\` shows what happened`],
  })
}

/** Why a run that has no end cannot be asked. */
export function driverGoneError({ driver, run }: Pick<FoundRun, 'driver' | 'run'>): FerryError {
  return driver === null ? driverDiedError(run) : outOfReachError(run, driver)
}

function outOfReachError(run: string, driver: number): FerryError {
  return new FerryError({
    code: 'run/out-of-reach',
    exit: EXIT.unknown,
    message: `process ${driver} drives run ${run} but has no control socket: it cannot be asked`,
    suggestions: [
      `\`kill -INT ${driver}\` cancels the run, or lets it end as it stands if it is past its cutover`,
      `\`ferry status ${run}\` reads its journal`,
    ],
  })
}

export function driverDiedError(run: string): FerryError {
  return new FerryError({
    code: 'run/died',
    exit: EXIT.unknown,
    message: `the ferry process that drove run ${run} died, and its end is not recorded`,
    suggestions: [
      `\`ferry recover ${run}\` asks both sides and finishes it safely`,
      `\`ferry report ${run}\` shows how far it came`,
    ],
  })
}

function notBegunError(journal: string): FerryError {
  return new FerryError({
    code: 'run/not-begun',
    exit: EXIT.error,
    message: `${journal} has no complete record: the run has not begun, or ended before it began`,
  })
}
