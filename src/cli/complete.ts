/** What may stand where a shell's cursor is: the answer to `ferry __complete WORD...`, from the manifest and the disk. */
import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Manifest, ManifestArg, ManifestCommand, ManifestFlag } from './manifest.js'
import { stateFolder } from './state-dir.js'

/** A word, and what it means where that is known. */
export interface Candidate {
  readonly word: string
  readonly text?: string
}

/** One candidate a line, its meaning after a tab. A completion cannot show an error. */
export function printCompletions(words: readonly string[], manifest: Manifest): void {
  try {
    const lines = complete(words, manifest).map(({ text, word }) => (text ? `${word}\t${text}` : word))
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
  } catch {
    // No candidates.
  }
}

/** `words` follow `ferry`; the last is the one under the cursor and may be empty. */
export function complete(words: readonly string[], { commands }: Manifest): readonly Candidate[] {
  // bash cuts --flag=value into three words.
  const typed = words.at(-1) === '=' ? [...words.slice(0, -1), ''] : words
  const clean = typed.filter((word, index) => word !== '=' || index === 0)
  const current = clean.at(-1) ?? ''
  const [name, ...before] = clean.slice(0, -1)
  if (name === undefined || (name === 'help' && before.length === 0)) {
    return starting(current, commandWords(commands, name === undefined))
  }
  const command = commands[name]
  if (command === undefined) return []
  const inline = /^(?<flag>--[^=]+)=(?<value>.*)$/su.exec(current)?.groups
  if (inline !== undefined) {
    const flag = flagOf(command, inline['flag'] ?? '')
    const found = flag === undefined ? [] : valuesOf(flag, inline['value'] ?? '', before)
    return found.map(({ word, ...rest }) => ({ word: `${inline['flag'] ?? ''}=${word}`, ...rest }))
  }
  const { args, open } = placed(command, before)
  if (open !== undefined) return valuesOf(open, current, before)
  if (current.startsWith('-') && !before.includes('--')) return starting(current, flagWords(command, before))
  const declared = Object.values(command.args)
  const last = declared.at(-1)
  const arg = declared[args] ?? (last?.multiple === true ? last : undefined)
  return arg === undefined ? [] : valuesOf(arg, current, before)
}

function commandWords(commands: Manifest['commands'], withHelp: boolean): Candidate[] {
  const own = Object.values(commands)
    .filter(({ hidden }) => hidden !== true)
    .map(({ id, summary }) => ({ word: id, ...(summary !== undefined && { text: summary }) }))
  if (!withHelp) return own
  return [...own, { word: 'help', text: 'show the help of a command' }, { word: 'version' }]
}

/** Flags that are not there yet, unless they may be repeated. */
function flagWords(command: ManifestCommand, before: readonly string[]): Candidate[] {
  const flags = Object.values(command.flags).filter(({ hidden }) => hidden !== true)
  const words = flags.flatMap(({ allowNo, multiple, name, summary }) => {
    const all = allowNo === true ? [`--${name}`, `--no-${name}`] : [`--${name}`]
    if (multiple !== true && all.some((word) => before.includes(word))) return []
    return all.map((word) => ({ word, ...(summary !== undefined && { text: summary }) }))
  })
  return [...words, { word: '--help', text: 'show the help of this command' }]
}

/** How many arguments stand before the cursor, and the flag that waits for its value there. */
function placed(
  command: ManifestCommand,
  before: readonly string[],
): { readonly args: number; readonly open: ManifestFlag | undefined } {
  let args = 0
  let open: ManifestFlag | undefined
  let flags = true
  for (const word of before) {
    if (open !== undefined) open = undefined
    else if (flags && word === '--') flags = false
    else if (flags && word.startsWith('-') && word !== '-') {
      const flag = flagOf(command, word)
      open = flag?.type === 'option' ? flag : undefined
    } else args++
  }
  return { args, open }
}

function flagOf(command: ManifestCommand, word: string): ManifestFlag | undefined {
  return Object.values(command.flags).find(
    ({ char, name }) => word === `--${name}` || (char !== undefined && word === `-${char}`),
  )
}

function valuesOf(
  what: ManifestArg | ManifestFlag,
  current: string,
  before: readonly string[],
): readonly Candidate[] {
  if (what.options !== undefined) {
    return starting(
      current,
      what.options.map((word) => ({ word })),
    )
  }
  const kind = ('helpValue' in what && what.helpValue) || what.name
  if (what.name === 'run' || what.name === 'sample') {
    const found = starting(current, runs(before))
    return found.length > 0 ? found : paths(current, /\.ndjson$/u)
  }
  if (what.name === 'profile' || kind === 'PROFILE') return paths(current, /\.ya?ml$/u)
  if (kind === 'FILE' || kind === 'PATH') return paths(current, /./u)
  if (kind === 'DIR') return paths(current, null)
  return []
}

/** The runs of the state folder, newest first. */
function runs(before: readonly string[]): Candidate[] {
  const at = before.lastIndexOf('--state-dir')
  const given = at === -1 ? undefined : before[at + 1]
  const folder = stateFolder(given ?? process.env['FERRY_STATE_DIR'])
  const journals = entries(join(folder, 'runs')).filter(({ name }) => name.endsWith('.ndjson'))
  const ids = journals.map(({ name }) => name.slice(0, -'.ndjson'.length))
  return [
    { word: 'last', text: 'the newest run' },
    ...ids
      .sort()
      .reverse()
      .map((word) => ({ word })),
  ]
}

/** Folders, and the files whose name fits, below the folder that was typed so far. */
function paths(current: string, fits: RegExp | null): Candidate[] {
  const slash = current.lastIndexOf('/') + 1
  const folder = current.slice(0, slash)
  const start = current.slice(slash)
  const looked = folder.startsWith('~/') ? join(homedir(), folder.slice(2)) : folder || '.'
  return entries(looked)
    .filter(({ name }) => name.startsWith(start) && (start.startsWith('.') || !name.startsWith('.')))
    .filter((entry) => entry.isDirectory() || fits?.test(entry.name) === true)
    .map((entry) => ({ word: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}` }))
    .sort((a, b) => (a.word < b.word ? -1 : 1))
}

function entries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

function starting(current: string, candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(current))
}
