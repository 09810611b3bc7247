/** Writes docs/commands.md from oclif's manifest, which `npm run build:cli` makes. */
import { readFileSync } from 'node:fs'
import { EXIT_CODES } from '../src/exit-codes.js'

interface Flag {
  readonly name: string
  readonly summary?: string
  readonly description?: string
  readonly char?: string
  readonly type?: string
  readonly helpValue?: string | readonly string[]
  readonly helpGroup?: string
  readonly options?: readonly string[]
  readonly default?: unknown
  readonly env?: string
  readonly hidden?: boolean
  readonly allowNo?: boolean
}
interface Argument {
  readonly name: string
  readonly description?: string
  readonly required?: boolean
  readonly multiple?: boolean
  readonly hidden?: boolean
}
interface Command {
  readonly id: string
  readonly summary?: string
  readonly description?: string
  readonly hidden?: boolean
  readonly strict?: boolean
  readonly args?: Readonly<Record<string, Argument>>
  readonly flags?: Readonly<Record<string, Flag>>
  readonly examples?: readonly (string | { readonly description?: string; readonly command: string })[]
  readonly exitCodes?: readonly number[]
}

const MANIFEST = new URL('../oclif.manifest.json', import.meta.url)

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function filled(text: string, id: string): string {
  return text.replaceAll('<%= config.bin %>', 'ferry').replaceAll('<%= command.id %>', id)
}

function flagRow(flag: Flag): string {
  const value = [flag.helpValue ?? (flag.options === undefined ? 'VALUE' : flag.options.join('|'))]
    .flat()
    .join('|')
  const name = `${flag.allowNo === true ? '--[no-]' : '--'}${flag.name}${flag.type === 'option' ? ` ${value}` : ''}`
  const short = flag.char === undefined ? '' : `-${flag.char}, `
  const more = [
    ...(typeof flag.default === 'string' || typeof flag.default === 'number'
      ? [`default \`${flag.default}\``]
      : []),
    ...(flag.helpValue !== undefined && flag.options !== undefined
      ? [`one of ${flag.options.join(', ')}`]
      : []),
    ...(flag.env === undefined ? [] : [`or \`$${flag.env}\``]),
  ]
  const meaning = [flag.summary ?? flag.description ?? '', ...more].filter((part) => part !== '').join('; ')
  return `| \`${cell(short + name)}\` | ${cell(meaning)} |`
}

function flagTable(flags: readonly Flag[]): string {
  return ['| flag | meaning |', '| --- | --- |', ...flags.map(flagRow)].join('\n')
}

function shown(flags: Command['flags']): readonly Flag[] {
  return Object.values(flags ?? {})
    .filter(({ hidden }) => hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function section(command: Command): string {
  const id = command.id.replaceAll(':', ' ')
  const args = Object.values(command.args ?? {}).filter(({ hidden }) => hidden !== true)
  const usage = args.map(({ name, required, multiple }) => {
    const word = name.toUpperCase() + (multiple === true || command.strict === false ? '...' : '')
    return required === true ? word : `[${word}]`
  })
  const own = shown(command.flags).filter(({ helpGroup }) => helpGroup !== 'GLOBAL')
  const examples = (command.examples ?? []).map((example) => {
    if (typeof example === 'string') return filled(example, id)
    const note = example.description === undefined ? '' : `# ${example.description}\n`
    return note + filled(example.command, id)
  })
  return [
    `## ferry ${id}`,
    ...(command.summary === undefined ? [] : [`${filled(command.summary, id)}.`.replace(/\.\.$/u, '.')]),
    `\`\`\`\n${['ferry', id, ...usage, '[flags]'].join(' ')}\n\`\`\``,
    ...args.map(({ name, description }) => `- \`${name.toUpperCase()}\`: ${description ?? ''}`),
    // The manifest breaks lines for a terminal; an empty line ends a paragraph.
    ...filled(command.description ?? '', id)
      .split(/\n\s*\n/u)
      .map((text) => text.replaceAll('\n', ' ').trim())
      .filter((text) => text !== ''),
    ...(own.length === 0 ? [] : [flagTable(own)]),
    ...(examples.length === 0 ? [] : [`\`\`\`\n${examples.join('\n')}\n\`\`\``]),
    ...(command.exitCodes === undefined ? [] : [`Exit codes: ${command.exitCodes.join(', ')}.`]),
  ].join('\n\n')
}

export function commandsPage(): string {
  const { commands } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as { commands: Record<string, Command> }
  const listed = Object.values(commands)
    .filter(({ hidden }) => hidden !== true)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const everywhere = new Map(
    listed
      .flatMap(({ flags }) => shown(flags).filter(({ helpGroup }) => helpGroup === 'GLOBAL'))
      .map((flag) => [flag.name, flag]),
  )
  const exits = Object.values(EXIT_CODES).map(({ exit, meaning }) => `| ${exit} | ${cell(meaning)} |`)
  return [
    '# Commands',
    'Generated from the manifest of the commands by `npm run docs`, after `npm run build:cli`. `ferry COMMAND --help` prints the same.',
    `## Flags of every command\n\n${flagTable([...everywhere.values()])}`,
    `## Exit codes\n\n| code | meaning |\n| --- | --- |\n${exits.join('\n')}`,
    ...listed.map(section),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/u, '\n')
}
