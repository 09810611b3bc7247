import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { grouped } from '../src/cli/help-text.js'
import { type ManifestCommand, type ManifestFlag, readManifest } from '../src/cli/manifest.js'
import { EXIT_CODES } from '../src/exit-codes.js'

/** Writes dist/man/ferry.1 from the manifest. */
export async function writeMan(root: string): Promise<void> {
  const { description, version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as {
    description: string
    version: string
  }
  const commands = Object.values(readManifest(root).commands).filter(({ hidden }) => hidden !== true)
  await mkdir(`${root}dist/man`, { recursive: true })
  await writeFile(`${root}dist/man/ferry.1`, manPage(commands, { description, version }))
}

/** The page in man's own macros, which every formatter of manual pages knows. */
export function manPage(
  commands: readonly ManifestCommand[],
  { description, version }: { readonly description: string; readonly version: string },
): string {
  const globals = Object.values(commands[0]?.flags ?? {}).filter(isGlobal)
  const lines = [
    `.TH FERRY 1 "" ${quoted(`ferry ${version}`)} "User Commands"`,
    '.SH NAME',
    `ferry \\- ${escaped(description)}`,
    '.SH SYNOPSIS',
    '.B ferry',
    '.I COMMAND',
    '[\\fIARGUMENT\\fR ...] [\\fIFLAG\\fR ...]',
    ...grouped(commands).flatMap((group) => [
      `.SH ${quoted(group.title)}`,
      ...group.commands.flatMap(commandLines),
    ]),
    '.SH FLAGS OF EVERY COMMAND',
    ...globals.flatMap(flagLines),
    '.SH EXIT STATUS',
    ...Object.values(EXIT_CODES).flatMap(({ exit, meaning }) => ['.TP', `.B ${exit}`, escaped(meaning)]),
  ]
  return `${lines.join('\n')}\n`
}

function commandLines(command: ManifestCommand): string[] {
  const { args, description, examples = [], flags, id, summary } = command
  const own = Object.values(flags).filter((flag) => !isGlobal(flag) && flag.hidden !== true)
  const usage = Object.values(args).map(({ multiple, name, required }) => {
    const word = `\\fI${escaped(name.toUpperCase())}\\fR${multiple === true ? ' ...' : ''}`
    return required === true ? word : `[${word}]`
  })
  return [
    `.SS ${quoted(`ferry ${id}`)}`,
    ...(summary === undefined ? [] : [escaped(summary)]),
    '.PP',
    [`\\fBferry ${escaped(id)}\\fR`, ...usage, ...(own.length > 0 ? ['[\\fIFLAG\\fR ...]'] : [])].join(' '),
    ...paragraphs(description ?? ''),
    ...Object.values(args).flatMap((arg) => [
      '.TP',
      `.I ${escaped(arg.name.toUpperCase())}`,
      escaped([arg.description ?? '', optionsText(arg.options)].join('')),
    ]),
    ...own.flatMap(flagLines),
    ...examples.flatMap((example) => {
      const { command: text, description: what } =
        typeof example === 'string' ? { command: example, description: undefined } : example
      const typed = text.replaceAll('<%= config.bin %>', 'ferry').replaceAll('<%= command.id %>', id)
      return [
        '.PP',
        ...(what === undefined ? [] : [`${escaped(what)}:`]),
        '.RS',
        '.nf',
        escaped(typed),
        '.fi',
        '.RE',
      ]
    }),
  ]
}

function flagLines({ allowNo, char, helpValue, name, options, summary, type }: ManifestFlag): string[] {
  const value = type === 'option' ? ` \\fI${escaped(helpValue ?? name.toUpperCase())}\\fR` : ''
  const long = `\\fB${escaped(allowNo === true ? `--[no-]${name}` : `--${name}`)}\\fR${value}`
  const short = char === undefined ? '' : `\\fB${escaped(`-${char}`)}\\fR, `
  return ['.TP', `${short}${long}`, escaped(`${summary ?? ''}${optionsText(options)}`)]
}

function optionsText(options: readonly string[] | undefined): string {
  return options === undefined ? '' : ` (${options.join(', ')})`
}

function paragraphs(text: string): string[] {
  const plain = text.replaceAll('<%= config.bin %>', 'ferry')
  return plain.split(/\n{2,}/u).flatMap((part) => (part === '' ? [] : ['.PP', escaped(part)]))
}

function isGlobal({ helpGroup }: ManifestFlag): boolean {
  return helpGroup === 'GLOBAL'
}

/** roff reads backslashes, and a dot or an apostrophe at the start of a line, as its own, and bytes as Latin-1. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/\s*\n\s*/gu, ' ')
    .replace(/^(?=[.'])/u, '\\&')
    .replaceAll(/[^\0-\x7f]/gu, (character) => `\\[u${hex(character)}]`)
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', '\\(dq')}"`
}

/** troff names a character by four hexadecimal digits or more. */
function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
}
