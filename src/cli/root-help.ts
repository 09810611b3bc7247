/** The help of `ferry` itself. It is made from the manifest alone, so that it can be shown without loading oclif. */
import { readFileSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { styleText } from 'node:util'
import { EXIT_CODES } from '../exit-codes.js'
import { wantsColour } from '../terminal.js'
import { grouped } from './help-text.js'
import { readManifest } from './manifest.js'

const WIDTH = 80
const LEAST_WIDTH = 40

export interface RootHelp {
  /** Of package.json. */
  readonly description: string
  /** "vfio-ferry/0.1.0 linux-x64 node-v20.19.0". */
  readonly version: string
  readonly commands: readonly { readonly id: string; readonly summary?: string | undefined }[]
  /** Columns of the terminal; 80 where there is none. */
  readonly width: number
  readonly colour: boolean
}

/** `ferry --help` from the built manifest. */
export function printRootHelp(root: string): void {
  const { description, name, version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    readonly description: string
    readonly name: string
    readonly version: string
  }
  const { columns, isTTY } = process.stdout
  const text = rootHelp({
    description,
    version: `${name}/${version} ${platform()}-${arch()} node-${process.version}`,
    commands: Object.values(readManifest(root).commands).filter(({ hidden }) => !hidden),
    width: isTTY ? Math.max(columns || WIDTH, LEAST_WIDTH) : WIDTH,
    colour: wantsColour(process.stdout),
  })
  process.stdout.write(text)
}

export function rootHelp({ colour, commands, description, version, width }: RootHelp): string {
  const section = (title: string, lines: readonly string[]): string =>
    [colour ? styleText('bold', title) : title, ...lines.map((line) => `  ${line}`)].join('\n')
  return [
    description,
    section('VERSION', [version]),
    section('USAGE', ['$ ferry [COMMAND]']),
    ...grouped(commands).map((group) =>
      section(
        group.title,
        list(
          group.commands.map(({ id, summary = '' }) => [id, summary]),
          width,
        ),
      ),
    ),
    section(
      'EXIT CODES',
      Object.values(EXIT_CODES).map(({ exit, meaning }) => `${exit}  ${meaning}`),
    ),
    '',
  ].join('\n\n')
}

/** Names in one column, what they are beside them, wrapped at the width. */
function list(entries: readonly (readonly [string, string])[], width: number): string[] {
  const left = Math.max(...entries.map(([name]) => name.length)) + 2
  return entries.flatMap(([name, text]) =>
    wrapped(text, width - 2 - left).map((line, index) => `${(index === 0 ? name : '').padEnd(left)}${line}`),
  )
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
