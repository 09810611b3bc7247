/** What the words after `ferry` ask for, before oclif sees them. */
import { didYouMean } from '../did-you-mean.js'
import { type FerryError, usageError } from '../errors.js'

/**
 * `ferry help plan` is `ferry plan --help`, and `ferry version` is `ferry --version`. `unknown` is the first word when
 * it names no command; oclif would say so in an error without a type, and in its help without asking any hook.
 */
export interface Route {
  readonly argv: readonly string[]
  readonly unknown?: string
}

export function route(words: readonly string[], commands: readonly string[]): Route {
  const [first, ...rest] = words
  if (first === 'version' && !rest.some(asksForHelp)) return { argv: ['--version'] }
  const argv = first === 'help' ? [...rest, '--help'] : words
  // With a flag in front there is no telling where the command would be: only what oclif's own start answers.
  const name = argv[0]
  if (name === undefined || commands.includes(name) || asksForHelp(name) || name === '--version')
    return { argv }
  return { argv, unknown: name }
}

export function unknownCommand(name: string, commands: readonly string[]): FerryError {
  if (name.startsWith('-'))
    return usageError(
      'unknown-command',
      `\`${name}\` comes after a command`,
      '`ferry --help` lists the commands',
    )
  const near = didYouMean(name, commands)
  return usageError(
    'unknown-command',
    `there is no command \`${name}\``,
    ...(near === undefined ? [] : [`did you mean \`ferry ${near}\`?`]),
    '`ferry --help` lists the commands',
  )
}

function asksForHelp(word: string): boolean {
  return word === '--help' || word === '-h'
}
