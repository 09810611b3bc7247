/** The last stop of an error that left a command, or that no command was there to take. */
import { errorEnvelope } from './base-command.js'
import { errorText } from './error-text.js'
import { wantsColour } from '../terminal.js'
import { isQuietExit, toFerryError } from '../errors.js'
import { toJson } from '../json.js'

/** Prints the error (stderr, or the envelope on stdout under --json) and returns the exit code. */
export function reportFatal(thrown: unknown, argv: readonly string[]): number {
  if (isQuietExit(thrown)) return thrown.oclif.exit
  const error = toFerryError(thrown)
  const passThrough = argv.indexOf('--')
  const own = passThrough === -1 ? argv : argv.slice(0, passThrough)
  if (own.includes('--json')) {
    const command = own.filter((word) => !word.startsWith('-'))[0] ?? ''
    process.stdout.write(`${toJson(errorEnvelope(command, error), 2)}\n`)
  } else {
    process.stderr.write(`${errorText(error, wantsColour(process.stderr))}\n`)
  }
  return error.exit
}
