/** Removing what is left of runs that are over: their journals here, and the records that helpers wrote of them. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { FerryError } from '../errors.js'
import type { SideAddress, SideAddresses } from '../journal/event.js'
import { runsFolder } from '../journal/journal.js'
import { driverOf, lockJournal } from '../journal/lock.js'
import { listRuns, readStart, readWhatIsLeft } from '../journal/read.js'
import { whyUnfinished } from '../journal/unfinished.js'
import type { Role } from '../protocol/protocol.js'
import type { Client, Reach } from './sides.js'

/** A run goes when it is older than this, or is not among so many newest. */
export interface PruneLimits {
  readonly olderThanMs: number
  readonly keep: number
}
export const PRUNE_LIMITS: PruneLimits = { olderThanMs: 90 * 86_400_000, keep: 500 }

/** under-way: a ferry drives it; helper: a helper of it still has devices; unreachable: a host of it is. */
export type Kept = 'under-way' | 'unfinished' | 'helper' | 'unreachable' | 'unreadable'
export interface PruneInput {
  readonly stateDir: string
  readonly reach: Reach
  readonly limits: PruneLimits
  readonly nowMs: number
  /** Asks and removes nothing. */
  readonly dryRun: boolean
  /** Runs to remove, oldest first, of four times as many that are looked at; absent: all. */
  readonly most?: number
  /** Runs with other hosts are passed over; absent: every host may be asked. */
  readonly hosts?: ReadonlySet<string>
}
export interface Pruned {
  readonly pruned: readonly { readonly run: string; readonly ageMs: number; readonly bytes: number }[]
  /** Past the limits, and left as they are. */
  readonly kept: readonly { readonly run: string; readonly why: Kept }[]
}

/** Runs past the limits, oldest first. Ids, newest first, tell when a run began. */
export function pastLimits(
  ids: readonly string[],
  { keep, olderThanMs }: PruneLimits,
  nowMs: number,
): readonly string[] {
  return ids.filter((id, at) => at >= keep || nowMs - beganMs(id) > olderThanMs).reverse()
}

/** When a run began, by its id. */
export function beganMs(id: string): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/u.exec(id) ?? []
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/**
 * INVARIANT: what could still be needed to finish a run stays: one that is not over, one a helper of which still lives, and
 * one whose hosts cannot be asked. Records go before the journal, so that what is left half-way is still known to be over.
 */
export async function prune(input: PruneInput): Promise<Pruned> {
  const { limits, nowMs, stateDir } = input
  const past = pastLimits(listRuns(stateDir), limits, nowMs)
  const helpers = new Helpers(input.reach)
  const pruned: { run: string; ageMs: number; bytes: number }[] = []
  const kept: { run: string; why: Kept }[] = []
  try {
    for (const run of past.slice(0, 4 * (input.most ?? past.length))) {
      if (pruned.length >= (input.most ?? Infinity)) break
      if (!ofHosts(stateDir, run, input.hosts)) continue
      const bytes = filesOf(stateDir, run).reduce((sum, path) => sum + statSync(path).size, 0)
      const why = await pruneOne(input, helpers, run)
      if (why === null) pruned.push({ run, ageMs: nowMs - beganMs(run), bytes })
      else kept.push({ run, why })
    }
  } finally {
    await helpers.close()
  }
  return { pruned, kept }
}

function ofHosts(stateDir: string, run: string, hosts: ReadonlySet<string> | undefined): boolean {
  if (hosts === undefined) return true
  const start = readStart(journalOf(stateDir, run))?.body
  if (start?.type !== 'run-start' || start.seats === undefined) return true
  return [start.seats.source, start.seats.destination].every(({ host: { host } }) => hosts.has(host))
}

async function pruneOne(
  { dryRun, stateDir }: PruneInput,
  helpers: Helpers,
  run: string,
): Promise<Kept | null> {
  if (driverOf(stateDir, run) !== null) return 'under-way'
  const addresses = overAddresses(stateDir, run)
  if (typeof addresses === 'string') return addresses
  let unlock = (): void => undefined
  try {
    if (!dryRun) unlock = lockJournal(stateDir, run)
  } catch {
    return 'under-way'
  }
  try {
    for (const role of ['source', 'destination'] as const) {
      const address = addresses?.[role]
      if (address !== undefined && (await helpers.livesFor(role, address, run))) return 'helper'
    }
    if (dryRun) return null
    for (const role of ['source', 'destination'] as const) {
      const address = addresses?.[role]
      if (address !== undefined) await helpers.forget(role, address, run)
    }
    // The journal last.
    for (const path of filesOf(stateDir, run)) rmSync(path, { force: true })
    return null
  } catch (error) {
    if (error instanceof FerryError) return 'unreachable'
    throw error
  } finally {
    unlock()
  }
}

/** Where its helpers were; null: it had none that left something. Why it stays, when it is not over. */
function overAddresses(stateDir: string, run: string): SideAddresses | null | Kept {
  const path = journalOf(stateDir, run)
  try {
    // It never began.
    if (statSync(path).size === 0) return null
    const { records } = readWhatIsLeft(path)
    const start = records[0]?.body
    if (whyUnfinished(records) !== null) return 'unfinished'
    return start?.type === 'run-start' ? (start.seats ?? null) : null
  } catch {
    return 'unreadable'
  }
}

function journalOf(stateDir: string, run: string): string {
  return join(runsFolder(stateDir), `${run}.ndjson`)
}

/** Its log, what a recovery found of its journal (see lost-beginning.ts), and its journal last. */
function filesOf(stateDir: string, run: string): readonly string[] {
  const names = [`${run}.log`, `${run}.ndjson.damaged`]
  const beside = readdirSync(runsFolder(stateDir)).filter((name) => names.includes(name))
  const paths = [...beside.map((name) => join(runsFolder(stateDir), name)), journalOf(stateDir, run)]
  return paths.filter((path) => existsSync(path))
}

/** One helper a host reads and removes the records of all of its runs. */
class Helpers {
  private readonly reach: Reach
  private readonly opened = new Map<string, Client | FerryError>()

  constructor(reach: Reach) {
    this.reach = reach
  }

  /** A holder that serves another run by now is none of this one's. */
  async livesFor(role: Role, address: SideAddress, run: string): Promise<boolean> {
    // A host that was not reached before is not waited for again.
    await this.of(role, address)
    for (const socket of address.sockets) {
      const client = await this.reach.attach(role, address, socket)
      if (client === null) continue
      try {
        if ((await client.request('status', {})).run === run) return true
      } finally {
        await client.close()
      }
    }
    return false
  }

  async forget(role: Role, address: SideAddress, run: string): Promise<void> {
    const client = await this.of(role, address)
    await client.request('record', { recordDir: address.recordDir, run, role, forget: true })
  }

  private async of(role: Role, address: SideAddress): Promise<Client> {
    const key = JSON.stringify(address.host)
    let client = this.opened.get(key)
    if (client === undefined) {
      try {
        client = (await this.reach.open(role, address)) ?? noHelper()
      } catch (error) {
        if (!(error instanceof FerryError)) throw error
        client = error
      }
      this.opened.set(key, client)
    }
    if (client instanceof FerryError) throw client
    return client
  }

  async close(): Promise<void> {
    for (const client of this.opened.values()) if (!(client instanceof FerryError)) await client.close()
  }
}

function noHelper(): FerryError {
  return new FerryError({ code: 'helper/missing', exit: 1, message: 'no helper could be started' })
}
