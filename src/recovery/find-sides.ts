/** What became of each side of a run: its helper's own word, or what it left on disk. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody, RecordReply, Role, StatusReply } from '../protocol/protocol.js'
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

export async function findSource(
  reach: Reach,
  address: SideAddress,
  run: string,
): Promise<Found<SourceFound>> {
  const { client, problems, record, status } = await look('source', reach, address, run)
  const found = (kind: SourceFound): Found<SourceFound> => ({ found: kind, client, problems })
  if (client === null) return found('unreachable')
  if (record === 'unreadable') return found('gone-unknown')
  if (status !== null) {
    // What committed never goes back to holding: this holder came later, and has nothing to do with the run.
    const left = status.run === null ? await recordOf(client, 'source', address, run) : 'none'
    if (left === null || left === 'unreadable') return found('unreachable')
    if (left === 'committed') return found('released')
    const running = status.devices.length > 0 && status.devices.every(({ state }) => state === 'RUNNING')
    return found(running ? 'runs' : 'answers')
  }
  if (record === 'committed') return found('gone-committed')
  return found(record === 'settled' ? 'ran' : 'gone-open')
}

export async function findDestination(
  reach: Reach,
  address: SideAddress,
  { run, settled, workload }: { readonly run: string; readonly workload: string; readonly settled: Settling },
  patience: Patience = FIND_PATIENCE,
): Promise<Found<DestinationFound>> {
  const { client, problems, record, status } = await look('destination', reach, address, run)
  // A holder that was there before the run, or came after it, is another's.
  const holds =
    status?.workload === workload && status.run === null && (settled === 'done' || settled === 'holding')
  const found = (kind: DestinationFound): Found<DestinationFound> => ({ found: kind, client, problems })
  if (client === null) return found('unreachable')
  if (holds) return found('settled')
  if (status !== null && status.run === run) {
    if (status.phase === 'running') return found('runs')
    if (status.phase === 'committed') return found(await starting(client, run, patience))
    return found(status.phase === 'discarded' || status.phase === 'rolled-back' ? 'discarded' : 'open')
  }
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
type Left = RecordReply['record'] | 'unreadable'

/** What the run's helper wrote down, which any helper of the host can read; null: it does not say. */
async function recordOf(
  client: Client,
  role: Role,
  { recordDir }: SideAddress,
  run: string,
): Promise<Left | null> {
  try {
    return await readRecord(client, role, recordDir, run)
  } catch {
    return null
  }
}

async function readRecord(client: Client, role: Role, recordDir: string, run: string): Promise<Left> {
  try {
    return (await client.request('record', { recordDir, run, role })).record
  } catch (error) {
    if (errorBodyOf(error).code === 'record/read') return 'unreadable'
    throw error
  }
}

interface Look {
  readonly client: Client | null
  /** Null when no helper of the run is left. */
  readonly status: StatusReply | null
  readonly record: Left | null
  readonly problems: readonly HelperErrorBody[]
}

/** Asks at each socket in turn; when none of them is of this run, reads the record with a helper started for it. */
async function look(side: Role, reach: Reach, address: SideAddress, run: string): Promise<Look> {
  for (const socket of address.sockets) {
    let client: Client | null
    try {
      client = await reach.attach(side, address, socket)
    } catch (error) {
      return { client: null, status: null, record: null, problems: [errorBodyOf(error)] }
    }
    if (client === null) continue
    try {
      const status = await client.request('status', {})
      if (status.run === run || (status.run === null && status.workload !== null)) {
        return { client, status, record: null, problems: [] }
      }
    } catch (error) {
      // Somebody is there and does not answer: that is not to be gone.
      await client.close()
      return { client: null, status: null, record: null, problems: [errorBodyOf(error)] }
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
    const record = await readRecord(client, side, address.recordDir, run)
    return { client, status: null, record, problems: [] }
  } catch (error) {
    return { client: null, status: null, record: null, problems: [errorBodyOf(error)] }
  }
}
