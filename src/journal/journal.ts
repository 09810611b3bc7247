/**
 * The journal of a run: <state-dir>/runs/<run>.ndjson, one EventRecord a line, appended and never rewritten. What a
 * crash must not lose (what was about to be done, what came of it, how the run ended) is synced before the run goes
 * on; progress is thinned out and not synced.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fromSystemError, type FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { toJson } from '../json.js'
import type { Event, EventRecord } from './event.js'
import { lockJournal } from './lock.js'
import { RoundThinner } from './thin.js'

const SYNCED: ReadonlySet<Event['type']> = new Set([
  'run-start',
  'phase-start',
  'phase-end',
  'intent',
  'outcome',
  'cancel-asked',
  'hold',
  'cutover-asked',
  'hook',
  'set',
  'recover-start',
  'run-end',
])
/** Helper events that come many times a second: one a second of each is kept. */
const THINNED_US = 1_000_000

/** Folder of the journals in a state folder. */
export function runsFolder(stateDir: string): string {
  return join(stateDir, 'runs')
}

export class Journal {
  readonly path: string
  private fd: number | undefined
  private readonly lastKept = new Map<string, number>()
  private readonly thinner = new RoundThinner()
  private failure: FerryError | undefined
  private free: (() => void) | undefined

  /**
   * Creates the file (0600, in a folder of 0700); throws a FerryError when it cannot, or when it exists. With `again`
   * the journal of a run that is over is taken up again, by `takeUp`, which has locked it; `close` calls `again`.
   */
  constructor(stateDir: string, run: string, again?: () => void) {
    const folder = runsFolder(stateDir)
    this.path = join(folder, `${run}.ndjson`)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      this.free = again ?? lockJournal(stateDir, run)
      const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants
      this.fd = openSync(
        this.path,
        again !== undefined ? O_APPEND | O_WRONLY : O_APPEND | O_CREAT | O_EXCL | O_WRONLY,
        0o600,
      )
      syncFolder(dirname(this.path))
    } catch (error) {
      this.free?.()
      throw fromSystemError(error, {
        code: 'journal/create',
        exit: EXIT.error,
        message: `the journal ${this.path} cannot be created; nothing was started`,
        suggestions: ['name a folder you may write to with --state-dir'],
      })
    }
  }

  /** The first failed write, if any. A run does nothing new without its journal; it may still undo and report. */
  get error(): FerryError | undefined {
    return this.failure
  }

  /** Never throws: it is called from stream handlers. See `error`. */
  readonly append = (record: EventRecord): void => {
    if (this.fd === undefined || this.failure !== undefined || !this.keeps(record)) return
    try {
      const line = Buffer.from(`${toJson(withoutSecrets(record))}\n`)
      for (let done = 0; done < line.length;) done += writeSync(this.fd, line, done)
      if (SYNCED.has(record.body.type)) fdatasyncSync(this.fd)
    } catch (error) {
      this.failure = fromSystemError(error, {
        code: 'journal/write',
        exit: EXIT.error,
        message: `the journal ${this.path} cannot be written`,
        suggestions: ['make room on its file system, or name another folder with --state-dir'],
      })
    }
  }

  close(): void {
    if (this.fd === undefined) return
    closeSync(this.fd)
    this.fd = undefined
    this.free?.()
    this.free = undefined
  }

  /** For a run that did not begin after all. */
  discard(): void {
    this.close()
    unlinkSync(this.path)
  }

  private keeps(record: EventRecord): boolean {
    if (!this.thinner.keeps(record)) return false
    const key = thinnedKey(record.body)
    if (key === null) return true
    const last = this.lastKept.get(key)
    if (last !== undefined && record.atUs - last < THINNED_US) return false
    this.lastKept.set(key, record.atUs)
    return true
  }
}

function thinnedKey(body: Event): string | null {
  if (body.type !== 'helper') return null
  if (body.event.event === 'progress') return `${body.side} progress`
  if (body.event.event === 'device-precopy') return `${body.side} ${body.event.device}`
  return null
}

/** The secret of the data connection is for the two helpers alone. */
export function withoutSecrets(record: EventRecord): EventRecord {
  const { body } = record
  if (body.type !== 'intent' || typeof body.params !== 'object' || body.params === null) return record
  if (!('secret' in body.params)) return record
  return { ...record, body: { ...body, params: { ...body.params, secret: '(not kept)' } } }
}

/** A new file survives a crash only once its folder is synced. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
