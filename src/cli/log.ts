/**
 * The diagnostic log: off unless --log-level or --log-file asks for it. Written synchronously (about 7 µs a line),
 * so that a crash loses nothing; never to stdout, which belongs to results.
 */
import { openSync } from 'node:fs'
import { pino, type DestinationStream, type Logger as Pino } from 'pino'
import { fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { LogLevel } from './flags.js'

export type Logger = Pick<Pino, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'child'>

/** Opens the log on `file`, or on stderr without one. Throws a FerryError when the file cannot be written. */
export function openLog(options: { readonly level?: LogLevel; readonly file?: string }): Logger {
  const level = options.level ?? 'info'
  const bindings = { base: { pid: process.pid }, level, timestamp: pino.stdTimeFunctions.isoTime }
  if (options.file === undefined) return pino(bindings, destination(2))
  // Opened here, because pino's destination reports a failed open by an event that has no listener yet.
  let fd: number
  try {
    fd = openSync(options.file, 'a', 0o600)
  } catch (error) {
    throw fromSystemError(error, {
      code: 'usage/log-file',
      exit: EXIT.usage,
      message: `the log file ${options.file} cannot be opened for writing`,
      suggestions: ['give a path in a folder that exists and that you may write to'],
    })
  }
  return pino(bindings, destination(fd))
}

/** Without a listener a full disk would throw into whatever was logging, and a run must not end for its log. */
function destination(dest: number): DestinationStream {
  const stream = pino.destination({ dest, sync: true })
  stream.on('error', () => undefined)
  return stream
}
