/** Reading journals back, and finding them. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { FerryError, fromSystemError, usageError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Event, EventRecord } from './event.js'
import { runsFolder } from './journal.js'
import { isRunId } from './run-id.js'

export interface SavedJournal {
  readonly path: string
  readonly records: readonly EventRecord[]
  /** The last line was cut off: the writer died while writing it. Everything before it is whole. */
  readonly torn: boolean
  /** Lines that are no records of the run, and were left out: what they held is not known. */
  readonly damaged: number
}

/** Every event type; the compiler keeps it complete. */
const EVENT_TYPES: Readonly<Record<Event['type'], true>> = {
  'run-start': true,
  'phase-start': true,
  'phase-end': true,
  intent: true,
  outcome: true,
  helper: true,
  'cancel-asked': true,
  hold: true,
  'cutover-asked': true,
  hook: true,
  set: true,
  'recover-start': true,
  'run-end': true,
}

/**
 * Parses a journal's bytes. A last line that is cut off is dropped and flagged; anything else that is not a record
 * of ours, in order, beginning with run-start, is a FerryError naming the line.
 */
export function parseJournal(bytes: Buffer, path: string): SavedJournal {
  const { first, saved } = readRecords(bytes, path)
  if (first !== null) throw notJournalError(path, first)
  return begun(saved)
}

/**
 * The same for those who must make the best of it: lines that a failed disk or a lost power supply left are passed over and
 * counted. A FerryError when its beginning is lost, which says where both sides are.
 */
export function parseWhatIsLeft(bytes: Buffer, path: string): SavedJournal {
  return begun(readRecords(bytes, path).saved)
}

function readRecords(
  bytes: Buffer,
  path: string,
): { readonly saved: SavedJournal; readonly first: string | null } {
  const lines = bytes.toString('utf8').split('\n')
  const tail = lines.pop() ?? ''
  const records: EventRecord[] = []
  let first: string | null = null
  let damaged = 0
  for (const [index, line] of lines.entries()) {
    const record = parseRecord(line)
    const before = records.at(-1)
    if (record !== undefined && (before === undefined || record.seq > before.seq)) {
      records.push(record)
      continue
    }
    damaged++
    first ??=
      record === undefined
        ? `line ${index + 1} is not a record of a run`
        : `line ${index + 1} is out of order (record ${record.seq} after ${before?.seq})`
  }
  return { first, saved: { path, records, torn: tail !== '', damaged } }
}

/** All that can be read of one that may have no beginning. */
export function readableRecords(path: string): readonly EventRecord[] {
  return readRecords(bytesOf(path), path).saved.records
}

function begun(saved: SavedJournal): SavedJournal {
  const first = saved.records[0]
  if (first === undefined) throw notJournalError(saved.path, 'it has no complete record')
  if (first.body.type !== 'run-start')
    throw notJournalError(saved.path, `it begins with ${first.body.type}, not with run-start`)
  return saved
}

export function readJournal(path: string): SavedJournal {
  return parseJournal(bytesOf(path), path)
}

/** A journal that may be damaged: see `parseWhatIsLeft`. */
export function readWhatIsLeft(path: string): SavedJournal {
  return parseWhatIsLeft(bytesOf(path), path)
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw fromSystemError(error, {
      code: 'journal/read',
      exit: EXIT.error,
      message: `the journal ${path} cannot be read`,
    })
  }
}

/** A run-start holds the plan's choices; one longer than this is no journal of ours. */
const MAX_START_BYTES = 16 * 1024 * 1024

/** The first record of a journal, without reading the rest; null when there is none that can be read. */
export function readStart(path: string): EventRecord | null {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch {
    return null
  }
  try {
    const chunk = Buffer.alloc(64 * 1024)
    let head = Buffer.alloc(0)
    for (;;) {
      const bytes = readSync(fd, chunk)
      head = Buffer.concat([head, chunk.subarray(0, bytes)])
      const end = head.indexOf('\n')
      if (end >= 0) {
        const record = parseRecord(head.toString('utf8', 0, end))
        return record?.body.type === 'run-start' ? record : null
      }
      if (bytes === 0 || head.length > MAX_START_BYTES) return null
    }
  } catch {
    return null
  } finally {
    closeSync(fd)
  }
}

/**
 * Whether no record says what run it is of and where its sides are: its first line was lost, or its ferry died before it
 * was whole. Whoever drives it at this moment may be about to write it.
 */
export function hasNoBeginning(path: string): boolean {
  if (readStart(path) !== null) return false
  try {
    readWhatIsLeft(path)
    return false
  } catch (error) {
    return error instanceof FerryError && error.code === 'journal/broken'
  }
}

/** Ids of the saved runs, newest first. */
export function listRuns(stateDir: string): readonly string[] {
  let names: string[]
  try {
    names = readdirSync(runsFolder(stateDir))
  } catch {
    return []
  }
  const ids = names.filter((name) => name.endsWith('.ndjson')).map((name) => basename(name, '.ndjson'))
  return ids.filter(isRunId).sort().reverse()
}

/** The journal that RUN means: an id, a prefix of just one id, `last`, or a path. */
export function findJournal(stateDir: string, run: string): string {
  const ids = listRuns(stateDir)
  const pathOf = (id: string): string => join(runsFolder(stateDir), `${id}.ndjson`)
  if (run === 'last') {
    if (ids[0] === undefined) throw unknownRunError(run, stateDir, ids)
    return pathOf(ids[0])
  }
  if (run.includes('/') || run.endsWith('.ndjson')) {
    if (isFile(run)) return run
    throw unknownRunError(run, stateDir, ids)
  }
  const matching = run === '' ? [] : ids.filter((id) => id.startsWith(run))
  if (matching.length === 1 && matching[0] !== undefined) return pathOf(matching[0])
  if (matching.length > 1) {
    throw usageError(
      'run',
      `${run} may mean ${matching.length} runs: ${shown(matching)}`,
      'give more of the id',
    )
  }
  throw unknownRunError(run, stateDir, ids)
}

function unknownRunError(run: string, stateDir: string, ids: readonly string[]): FerryError {
  return usageError(
    'run',
    `there is no run ${run} in ${runsFolder(stateDir)}`,
    ids.length === 0
      ? 'no run is saved there yet; --state-dir names another folder'
      : `recent runs: ${shown(ids)}`,
  )
}

function shown(ids: readonly string[]): string {
  return ids.length <= 5 ? ids.join(', ') : `${ids.slice(0, 5).join(', ')}, …`
}

function parseRecord(line: string): EventRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { seq, time, atUs, body } = value as Record<string, unknown>
  if (typeof seq !== 'number' || typeof time !== 'string' || typeof atUs !== 'number') return undefined
  if (typeof body !== 'object' || body === null) return undefined
  const { type } = body as Record<string, unknown>
  return typeof type === 'string' && Object.hasOwn(EVENT_TYPES, type) ? (value as EventRecord) : undefined
}

function notJournalError(path: string, why: string): FerryError {
  return new FerryError({
    code: 'journal/broken',
    exit: EXIT.error,
    message: `${path} is not a journal ferry can read: ${why}`,
    suggestions: [
      'only ferry writes journals; a file that was edited cannot be trusted',
      '`ferry recover RUN` passes over damaged lines and asks both sides; when the first line is lost, ' +
        '`ferry recover RUN --profile PROFILE` takes them from the profile of the run',
    ],
  })
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}
