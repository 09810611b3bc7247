/** What became of each side of a run: its helper's own word, or what it left on disk. */
import { FerryError } from '../errors.js'
import type { HelperClient } from '../link/client.js'
import { errorBodyOf } from '../link/helper-error.js'
import type { HelperErrorBody, RecordReply, Role, StatusReply } from '../link/protocol.js'
import type { DestinationFound, SourceFound } from './decide-recovery.js'
import type { Seat } from './event.js'
import type { Reach } from './recover-run.js'

/** A helper as the recovery needs it. */
export type Client = Pick<HelperClient, 'request' | 'bind' | 'close' | 'alive'>
export interface Found<F extends string = string> {
  readonly found: F
  /** Null when the side cannot be reached. */
  readonly client: Client | null
  /** The helper holds the workload already, outside of any run. */
  readonly holds: boolean
  readonly problems: readonly HelperErrorBody[]
}

export async function findSource(reach: Reach, seat: Seat, run: string): Promise<Found<SourceFound>> {
  const { client, problems, record, status } = await look('source', reach, seat, run)
  const holds = status !== null && status.workload !== null
  const found = (kind: SourceFound): Found<SourceFound> => ({ found: kind, client, holds, problems })
  if (client === null) return found('unreachable')
  if (status !== null) {
    const running = status.devices.length > 0 && status.devices.every(({ state }) => state === 'RUNNING')
    return found(running ? 'runs' : 'answers')
  }
  if (record === 'committed') return found('gone-committed')
  return found('gone-open')
}

export async function findDestination(
  reach: Reach,
  seat: Seat,
  { run, settled, workload }: { readonly run: string; readonly workload: string; readonly settled: boolean },
): Promise<Found<DestinationFound>> {
  const { client, problems, record, status } = await look('destination', reach, seat, run)
  const holds = status?.workload === workload && status.run === null
  const found = (kind: DestinationFound): Found<DestinationFound> => ({
    found: kind,
    client,
    holds,
    problems,
  })
  if (client === null) return found('unreachable')
  if (status !== null) {
    if (holds) return found('settled')
    if (status.phase === 'running') return found('runs')
    if (status.phase === 'committed') return found('stuck')
    return found(status.phase === 'discarded' || status.phase === 'rolled-back' ? 'discarded' : 'open')
  }
  if (record === 'committed') return found(settled ? 'settled' : 'gone-committed')
  return found(record === 'discarded' ? 'gone-discarded' : 'gone-open')
}

interface Look {
  readonly client: Client | null
  /** Null when no helper of the run is left. */
  readonly status: StatusReply | null
  readonly record: RecordReply['record'] | null
  readonly problems: readonly HelperErrorBody[]
}

/** Asks at each socket in turn; when none of them is of this run, reads the record with a helper started for it. */
async function look(side: Role, reach: Reach, seat: Seat, run: string): Promise<Look> {
  const problems: HelperErrorBody[] = []
  for (const socket of seat.sockets) {
    let client: Client | null
    try {
      client = await reach.attach(side, seat, socket)
    } catch (error) {
      return { client: null, status: null, record: null, problems: [errorBodyOf(error)] }
    }
    if (client === null) continue
    try {
      const status = await client.request('status', {})
      if (status.run === run || (status.run === null && status.workload !== null)) {
        return { client, status, record: null, problems }
      }
    } catch (error) {
      problems.push(errorBodyOf(error))
    }
    await client.close()
  }
  try {
    const client = await reach.open(side, seat)
    if (client === null)
      throw new FerryError({ code: 'helper/missing', exit: 1, message: 'no helper could be started' })
    const { record } = await client.request('record', { recordDir: seat.recordDir, run, role: side })
    return { client, status: null, record, problems }
  } catch (error) {
    return { client: null, status: null, record: null, problems: [...problems, errorBodyOf(error)] }
  }
}
