/** The last stop of an error that left a command, or that no command was there to take. */
import { errorEnvelope } from './base-command.js'
import { didYouMean } from '../did-you-mean.js'
import { errorText } from './error-text.js'
import { wantsColour } from '../terminal.js'
import { type FerryError, isQuietExit, toFerryError, usageError } from '../errors.js'
import { toJson } from '../json.js'

/** Prints the error (stderr, or the envelope on stdout under --json) and returns the exit code. */
export function reportFatal(thrown: unknown, argv: readonly string[], commands: readonly string[]): number {
  if (isQuietExit(thrown)) return thrown.oclif.exit
  const error = commandNotFound(thrown, commands) ?? toFerryError(thrown)
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

/** oclif says "command plna not found" (running) or "Command plna not found." (help), without a type of its own. */
function commandNotFound(thrown: unknown, commands: readonly string[]): FerryError | undefined {
  const name =
    thrown instanceof Error && /^command (?<name>.+) not found\.?$/iu.exec(thrown.message)?.groups?.['name']
  if (!name) return undefined
  // The name holds the arguments as well: oclif cannot know where a command it does not know would have ended.
  const words = name.split(':')
  const prefixes = words.map((_, index) => words.slice(0, words.length - index).join(' '))
  const typed = prefixes.at(-1) ?? name
  const near = prefixes.map((prefix) => didYouMean(prefix, commands)).find((command) => command !== undefined)
  return usageError(
    'unknown-command',
    `there is no command \`${typed}\``,
    ...(near === undefined ? [] : [`did you mean \`ferry ${near}\`?`]),
    '`ferry --help` lists the commands',
  )
}
