/** Finding ferry-helper on this host, and judging whether root may run it. */
import { constants, type Stats } from 'node:fs'
import { access, lstat, realpath, stat } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'

export interface LookUp {
  /** --helper, $FERRY_HELPER or the profile's `helper:`; nothing else is tried when it is given. */
  readonly explicit?: string | undefined
  /** The package's folder, in a checkout the checkout itself. */
  readonly root?: string
}

const NAME = 'ferry-helper'

/** The nearest folder above this file with a package.json; the same for dist and source. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** Where the helper is looked for, first to last. */
export function candidates(lookUp: LookUp): readonly string[] {
  if (lookUp.explicit !== undefined && lookUp.explicit !== '') return [resolve(lookUp.explicit)]
  const root = lookUp.root ?? packageRoot()
  return [
    join(root, 'helper', 'target', 'release', NAME),
    join(root, 'prebuilds', `${process.platform}-${process.arch}`, NAME),
    join('/usr/libexec', NAME),
  ]
}

/** The first candidate that exists and may be run. A FerryError with every path tried when there is none. */
export async function findHelper(lookUp: LookUp): Promise<string> {
  const tried: string[] = []
  for (const path of candidates(lookUp)) {
    const problem = await runnable(path)
    if (problem === undefined) return path
    tried.push(`${path}: ${problem}`)
  }
  throw new FerryError({
    code: 'helper/missing',
    exit: EXIT.error,
    message: `ferry-helper was not found; tried:\n  ${tried.join('\n  ')}`,
    suggestions: [
      'in a checkout, build it: `npm run build:helper`',
      'name it with --helper PATH, $FERRY_HELPER, or `helper:` in the profile',
    ],
  })
}

async function runnable(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) return 'is not a file'
    await access(path, constants.X_OK)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? 'does not exist' : `cannot be run (${code ?? 'unknown error'})`
  }
}

/**
 * Refuses what another user could have replaced: run as root, the helper must be root's, writable by root alone,
 * and so must every folder above it be, except those whose sticky bit keeps others from renaming what is not theirs.
 */
export async function checkTrusted(path: string, uid = process.getuid?.() ?? 0): Promise<void> {
  if (uid !== 0) return
  const real = await realpath(path)
  const problems = untrusted(real, await lstat(real), false)
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    problems.push(...untrusted(folder, await lstat(folder), true))
    if (folder === dirname(folder)) break
  }
  if (problems.length === 0) return
  throw new FerryError({
    code: 'helper/untrusted',
    exit: EXIT.error,
    message: `as root, ferry does not run a helper that others could replace:\n  ${problems.join('\n  ')}`,
    suggestions: [
      `\`chown root:root\` and \`chmod go-w\` what is named above`,
      'install the helper as /usr/libexec/ferry-helper',
    ],
  })
}

/** What lets a user other than root change `path`. Sticky folders (/tmp) protect root's own entries. */
export function untrusted(
  path: string,
  facts: Pick<Stats, 'uid' | 'mode'> & Partial<Pick<Stats, 'gid'>>,
  folder: boolean,
): string[] {
  const problems: string[] = []
  const mode = (facts.mode & 0o7777).toString(8).padStart(4, '0')
  const sticky =
    folder && (facts.mode & constants.S_IFMT) === constants.S_IFDIR && (facts.mode & 0o1000) !== 0
  if (facts.uid !== 0) problems.push(`${path} belongs to uid ${facts.uid}, not to root`)
  // Root's own group is root again: a umask of 002 is safe.
  const others = facts.gid === 0 ? 0o002 : 0o022
  if ((facts.mode & others) !== 0 && !sticky)
    problems.push(`${path} may be written by group or others (mode ${mode})`)
  return problems
}
