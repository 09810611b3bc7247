/** What became of each side of a run: its helper's own word, or what it left on disk. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { ClaimParams, HelperErrorBody, RecordReply, Role, StatusReply } from '../protocol/protocol.js'
import type { DestinationFound, SourceFound } from './decide.js'
import type { SideAddress } from '../journal/event.js'
import type { Patience } from '../run/ask-destination.js'
import type { Settling } from './left-run.js'
import type { Client, Found, Reach } from './sides.js'

const FIND_PATIENCE: Patience = { polls: 40, betweenMs: 250 }

const GONE = {
  done: 'gone-settled',
  holding: 'gone-committed',
  handing: 'gone-handing',
  no: 'gone-committed',
} as const

const BEFORE_STOP: ReadonlySet<StatusReply['phase']> = new Set(['claimed', 'set-up', 'tracking', 'pre-copy'])

/** Where the run's helper locked its devices. */
type Locks = Pick<ClaimParams, 'lockDir' | 'devices'> | null

export async function findSource(
  reach: Reach,
  address: SideAddress,
  run: string,
  locks: Locks = null,
): Promise<Found<SourceFound>> {
  const { client, hidden, problems, record, status } = await look('source', reach, address, { run, locks })
  const found = (kind: SourceFound): Found<SourceFound> => ({ found: kind, client, problems })
  if (client === null) return found('unreachable')
  // One that committed never runs again by itself, whatever process has its devices now.
  if (hidden && record !== 'settled' && record !== 'committed') return found('hidden')
  if (record === 'unreadable') return found('gone-unknown')
  if (status !== null) {
    // What committed never goes back to holding: this holder came later, and has nothing to do with the run.
    const left = status.run === null ? await recordOf(client, 'source', address, run) : 'none'
    if (left === null || left === 'unreadable') return found('unreachable')
    if (left === 'committed') return found('released')
    const running = status.devices.length > 0 && status.devices.every(({ state }) => state === 'RUNNING')
    const beforeStop = status.run === run && BEFORE_STOP.has(status.phase)
    return { ...found(running ? 'runs' : 'answers'), ...(beforeStop && { beforeStop }) }
  }
  if (record === 'committed') return found('gone-committed')
  return found(record === 'settled' ? 'ran' : 'gone-open')
}

interface Left {
  readonly run: string
  readonly workload: string
  readonly settled: Settling
  readonly locks?: Locks
}

export async function findDestination(
  reach: Reach,
  address: SideAddress,
  { locks = null, run, settled, workload }: Left,
  patience: Patience = FIND_PATIENCE,
): Promise<Found<DestinationFound>> {
  const { client, hidden, problems, record, status } = await look('destination', reach, address, {
    run,
    locks,
  })
  // A holder that was there before the run, or came after it, is another's.
  const holds =
    status?.run === null &&
    (status.cameBy === run || (status.workload === workload && (settled === 'done' || settled === 'holding')))
  const found = (kind: DestinationFound): Found<DestinationFound> => ({ found: kind, client, problems })
  if (client === null) return found('unreachable')
  if (holds) return found('settled')
  if (status !== null && status.run === run) {
    if (status.phase === 'running') return found('runs')
    if (status.phase === 'committed') return found(await starting(client, run, patience))
    return found(status.phase === 'discarded' || status.phase === 'rolled-back' ? 'discarded' : 'open')
  }
  if (hidden && record !== 'settled' && record !== 'discarded') return found('hidden')
  const left = record ?? (await recordOf(client, 'destination', address, run))
  if (left === null) return found('unreachable')
  if (left === 'unreadable') return found('gone-unknown')
  if (left === 'settled') return found('gone-settled')
  if (left === 'committed') return found(GONE[settled])
  return found(left === 'discarded' ? 'gone-discarded' : 'gone-open')
}

/** Devices take their time to run: one that has only just committed is not stuck yet. */
async function starting(client: Client, run: string, patience: Patience): Promise<DestinationFound> {
  for (let poll = 0; poll < patience.polls; poll++) {
    await new Promise((resolve) => setTimeout(resolve, patience.betweenMs))
    try {
      const status = await client.request('status', {})
      if (status.run !== run || status.phase !== 'committed') {
        return status.run === run && status.phase === 'running' ? 'runs' : 'unreachable'
      }
    } catch {
      return 'unreachable'
    }
  }
  return 'stuck'
}

/** A record that is there and cannot be read may say anything. */
type Recorded = RecordReply['record'] | 'unreadable'

/** What the run's helper wrote down, which any helper of the host can read; null: it does not say. */
async function recordOf(
  client: Client,
  role: Role,
  { recordDir }: SideAddress,
  run: string,
): Promise<Recorded | null> {
  try {
    return (await readRecord(client, role, recordDir, { run, locks: null })).record
  } catch {
    return null
  }
}

interface Read {
  readonly record: Recorded
  readonly held: NonNullable<RecordReply['held']>
}

async function readRecord(
  client: Client,
  role: Role,
  recordDir: string,
  { locks, run }: Asked,
): Promise<Read> {
  try {
    const params = { recordDir, run, role, ...(locks !== null && { locks }) }
    const { held = [], record } = await client.request('record', params)
    return { record, held }
  } catch (error) {
    const { code } = errorBodyOf(error)
    if (code === 'record/read') return { record: 'unreadable', held: [] }
    if (code === 'peer/version' && locks !== null)
      return readRecord(client, role, recordDir, { run, locks: null })
    throw error
  }
}

interface Asked {
  readonly run: string
  readonly locks: Locks
}

interface Look {
  readonly client: Client | null
  /** Null when no helper of the run is left. */
  readonly status: StatusReply | null
  readonly record: Recorded | null
  /** No socket of the run is left, and yet a process has its devices locked. */
  readonly hidden: boolean
  readonly problems: readonly HelperErrorBody[]
}

/** Asks at each socket in turn; when none of them is of this run, reads the record with a helper started for it. */
async function look(side: Role, reach: Reach, address: SideAddress, asked: Asked): Promise<Look> {
  const { run } = asked
  const nothing = { client: null, status: null, record: null, hidden: false }
  for (const socket of address.sockets) {
    let client: Client | null
    try {
      client = await reach.attach(side, address, socket)
    } catch (error) {
      return { ...nothing, problems: [errorBodyOf(error)] }
    }
    if (client === null) continue
    try {
      const status = await client.request('status', {})
      if (status.run === run || (status.run === null && status.workload !== null)) {
        return { ...nothing, client, status, problems: [] }
      }
    } catch (error) {
      // Somebody is there and does not answer: that is not to be gone.
      await client.close()
      return { ...nothing, problems: [errorBodyOf(error)] }
    }
    await client.close()
  }
  try {
    const client = await reach.open(side, address)
    if (client === null)
      throw new FerryError({
        code: 'helper/missing',
        exit: EXIT.error,
        message: 'no helper could be started',
      })
    const { held, record } = await readRecord(client, side, address.recordDir, asked)
    return { ...nothing, client, record, hidden: held.length > 0, problems: held.map(heldProblem) }
  } catch (error) {
    return { ...nothing, problems: [errorBodyOf(error)] }
  }
}

function heldProblem({ device, pid }: Read['held'][number]): HelperErrorBody {
  const who = pid === null ? 'a process' : `process ${pid}`
  return {
    code: 'recover/hidden',
    message: `${who} there has ${device}, and none of the run's sockets leads to it`,
    suggestion:
      'it may be the run’s own helper, whose socket was removed, or a later run: look at it there before anything else is started',
  }
}
