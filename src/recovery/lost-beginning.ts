/**
 * A journal whose first line is lost does not say where its two sides are. The profile of the run does: a beginning is made
 * up from it, and put in front of what is left. Who finishes the run asks both sides then, as for any other.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { FerryError, fromSystemError, usageError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { DEFAULT_KEEPALIVE_MS } from '../limits.js'
import { toJson } from '../json.js'
import type { Event, EventRecord, SideAddress, SideAddresses } from '../journal/event.js'
import { lockJournal } from '../journal/lock.js'
import { hasNoBeginning, readableRecords } from '../journal/read.js'
import { isRunId } from '../journal/run-id.js'
import { openHelper, stateDirOf } from '../link/open.js'
import { helperSocket, holderSocket, recordFolder } from '../plan/sockets.js'
import type { DeviceRef, Profile } from '../profile/profile.js'
import { loadProfile } from '../profile/load.js'
import type { ClaimParams, Role, StayParams } from '../protocol/protocol.js'
import { beganMs } from './prune.js'
import type { ReachOptions } from './reach.js'

/** A line that is no record: what may have been written on the lines that are gone is counted as one that is damaged. */
const GONE = '(the first line was lost)'

/** What a side's folder and user are: asked of its helper. */
export type AskSide = (side: Role) => Promise<{ readonly stateDir: string; readonly uid: number }>

/** Does nothing for a journal that has its beginning. Throws before anything is changed. */
export async function makeUpBeginning(
  path: string,
  {
    file,
    sets,
    version,
    ...options
  }: ReachOptions & {
    readonly file: string
    readonly sets: readonly string[]
    readonly version: string
  },
): Promise<void> {
  if (!hasNoBeginning(path)) {
    throw usageError(
      'run',
      `${path} has its first line`,
      'leave --profile out: the journal says where both sides are',
    )
  }
  const profile = await loadProfile(file, { sets })
  const { helper, root, stateDir } = options
  const askSide: AskSide = async (side) => {
    const spec = profile[side]
    const client = await openHelper(spec, { side, helper, root, keepaliveMs: DEFAULT_KEEPALIVE_MS })
    try {
      return { stateDir: stateDirOf(client, spec, stateDir), uid: client.helloReply.uid }
    } finally {
      await client.close()
    }
  }
  await putInFront(path, { profile, file, version, stateDir, askSide })
}

export async function putInFront(
  path: string,
  {
    askSide,
    file,
    profile,
    stateDir,
    version,
  }: {
    readonly profile: Profile
    readonly file: string
    readonly version: string
    readonly stateDir: string
    readonly askSide: AskSide
  },
): Promise<void> {
  const run = basename(path, '.ndjson')
  if (!isRunId(run)) {
    throw usageError(
      'run',
      `${path} is not named after its run`,
      'its first line is lost: only the name says which run it is of',
    )
  }
  const seats: SideAddresses = {
    source: addressOf('source', profile, run, await askSide('source')),
    destination: addressOf('destination', profile, run, await askSide('destination')),
    then: profile.destination.then,
    releaseSource: profile.releaseSource,
    workload: profile.name,
    handOut: profile.handOut,
  }
  const free = lockJournal(stateDir, run)
  try {
    const records = readableRecords(path)
    mustBeOf(run, seats, records)
    const body: Event = {
      type: 'run-start',
      ...{ run, command: 'migrate', profile: profile.name, file, version, plan: null, seats, madeUp: true },
    }
    const time = records[0]?.time ?? new Date(beganMs(run)).toISOString()
    // Records are numbered from 1, and it comes before all of them.
    const first: EventRecord = { seq: 0, time, atUs: 0, body }
    replace(path, `${toJson(first)}\n${GONE}\n`)
  } finally {
    free()
  }
}

function addressOf(
  side: Role,
  profile: Profile,
  run: string,
  { stateDir, uid }: { readonly stateDir: string; readonly uid: number },
): SideAddress {
  const { become, helper, host, stateDir: named } = profile[side]
  const [own, holder] = [helperSocket(stateDir, run, side), holderSocket(stateDir, profile.name)]
  const ofSource = profile.source.from === 'holder' ? [holder] : [own]
  return {
    host: { become, helper, host, stateDir: named },
    sockets: side === 'source' ? ofSource : [own, holder],
    recordDir: recordFolder(stateDir),
    devices: profile.devices.map(({ name }) => name),
    locks: locksOf(side, profile, stateDir, uid),
  }
}

/** As the plan of the run has them. */
function locksOf(
  side: Role,
  profile: Profile,
  stateDir: string,
  uid: number,
): Pick<ClaimParams, 'lockDir' | 'devices'> {
  const { destination, source } = profile
  const oneFolder = source.host === destination.host && source.stateDir === destination.stateDir
  const real = profile.devices.some((device) => device[side].kind !== 'sim')
  return {
    lockDir: uid === 0 && real ? '/run/ferry/locks' : `${stateDir}/locks`,
    devices: profile.devices.map((device) => {
      const id = idOf(device[side], device.name)
      return device[side].kind === 'sim' && oneFolder ? `${id}.${side}` : id
    }),
  }
}

function idOf(ref: DeviceRef, name: string): string {
  return ref.kind === 'mdev' ? ref.uuid : ref.kind === 'function' ? ref.bdf : name
}

/** What is left of the journal must not speak of another place: sides of another profile must not be asked. */
function mustBeOf(run: string, seats: SideAddresses, records: readonly EventRecord[]): void {
  for (const { body } of records) {
    if (body.type !== 'intent') continue
    const { workload = seats.workload } = body.params as Partial<StayParams>
    if (workload !== seats.workload) throw notItsProfile(run, body.side, workload, seats.workload)
    if (body.op !== 'claim') continue
    const { devices, recordDir, socket } = body.params as Partial<ClaimParams>
    const { locks, recordDir: expected, sockets } = seats[body.side]
    const same =
      recordDir === expected &&
      (socket === undefined || body.side === 'source' || sockets.includes(socket)) &&
      JSON.stringify(devices) === JSON.stringify(locks?.devices)
    if (same) continue
    const [left, given] = [
      `${String(recordDir)} and ${String(devices)}`,
      `${expected} and ${String(locks?.devices)}`,
    ]
    throw notItsProfile(run, body.side, left, given)
  }
}

function notItsProfile(run: string, side: Role, left: string, given: string): FerryError {
  return new FerryError({
    code: 'recover/refused',
    exit: EXIT.error,
    message: `this is not the profile of run ${run}: what is left of its journal has ${left} for the ${side}, the profile ${given}`,
    suggestions: ['give the profile as it was when the run began'],
  })
}

/** The journal with `front` before what it has: whole or not at all, and what it was stays beside it. */
function replace(path: string, front: string): void {
  const [fresh, kept] = [`${path}.new`, `${path}.damaged`]
  try {
    const fd = openSync(fresh, 'w', 0o600)
    try {
      const bytes = Buffer.concat([Buffer.from(front), readFileSync(path)])
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    if (!existsSync(kept)) linkSync(path, kept)
    renameSync(fresh, path)
    const folder = openSync(dirname(path), 'r')
    fsyncSync(folder)
    closeSync(folder)
  } catch (error) {
    throw fromSystemError(error, {
      code: 'journal/write',
      exit: EXIT.error,
      message: `the journal ${path} cannot be given a beginning; nothing was asked of either side`,
    })
  }
}
