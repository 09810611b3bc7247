/**
 * Imports in src/ point one way, from the last folder of this list to the first, and `import type` counts: there is no
 * circle of folders and none of files. docs/internals.md has the map for people.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

type Strength = 'types' | 'values'
/**
 * Every folder of src/ and what it may import from others, in the order of the data flow: each names only folders above
 * it. The files beside the folders (errors, exit codes, units, …) are leaves that every folder may use.
 */
const ARROWS: readonly (readonly [string, Readonly<Record<string, Strength>>])[] = [
  ['protocol', {}],
  ['profile/findings', {}],
  ['profile/text', { 'profile/findings': 'values' }],
  ['profile/schema', { 'profile/findings': 'values', protocol: 'types' }],
  ['profile/checks', { 'profile/findings': 'types', 'profile/schema': 'values' }],
  [
    'profile',
    {
      'profile/findings': 'values',
      'profile/text': 'values',
      'profile/schema': 'values',
      'profile/checks': 'values',
      protocol: 'types',
    },
  ],
  ['host', { profile: 'types', protocol: 'values' }],
  ['link', { host: 'values', profile: 'types', protocol: 'values' }],
  ['inventory', { link: 'values', profile: 'types', protocol: 'types' }],
  ['plan', { inventory: 'values', profile: 'types', protocol: 'types' }],
  ['codes', { inventory: 'values', plan: 'values', 'profile/findings': 'values' }],
  ['journal', { plan: 'types', profile: 'types', 'profile/schema': 'types', protocol: 'types' }],
  [
    'phases',
    { link: 'values', plan: 'values', profile: 'types', 'profile/schema': 'values', protocol: 'values' },
  ],
  [
    'run',
    {
      host: 'values',
      inventory: 'values',
      journal: 'values',
      link: 'values',
      phases: 'values',
      plan: 'values',
      profile: 'types',
      'profile/schema': 'values',
      protocol: 'types',
    },
  ],
  [
    'recovery',
    {
      journal: 'values',
      link: 'values',
      phases: 'values',
      plan: 'values',
      profile: 'values',
      protocol: 'types',
      run: 'values',
    },
  ],
  // The socket of a run under way: both ends of it.
  ['control', { host: 'values', journal: 'values', run: 'values' }],
  // A saved journal replays both.
  ['report', { journal: 'types', plan: 'types', protocol: 'types' }],
  ['forecast', { journal: 'values', plan: 'types', protocol: 'types', report: 'values' }],
  [
    'doctor',
    { host: 'values', link: 'values', profile: 'types', 'profile/schema': 'values', protocol: 'types' },
  ],
  // It turns values into text, and calls others for the status of a run and the constants of a forecast.
  [
    'ui',
    {
      doctor: 'types',
      forecast: 'values',
      inventory: 'types',
      journal: 'values',
      plan: 'types',
      protocol: 'types',
      report: 'types',
      run: 'types',
    },
  ],
  [
    'cli',
    {
      control: 'values',
      forecast: 'values',
      phases: 'types',
      profile: 'types',
      report: 'values',
      run: 'values',
      ui: 'values',
    },
  ],
]
/** A reader takes in so many names at a glance. */
const MAX_FILES = 20

interface Import {
  /** From the root: "src/plan/plan.ts". */
  readonly from: string
  readonly to: string
  readonly types: boolean
  /** Loaded where the code asks for it, not with the file. */
  readonly later: boolean
}

/** Imports of our own modules in a source text, static and dynamic. */
export function importsOf(file: string, text: string): Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^[ \t]*\/\/.*$/gmu, '')
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(?<type>type\s+)?(?:(?<names>[\w*{}\s,$]+?)\s*from\s*)?'(?<path>[^']+)'|(?<typeof>typeof\s+)?import\(\s*'(?<dynamic>[^']+)'/gu
  return [...code.matchAll(pattern)].flatMap(({ groups = {} }) => {
    const path = groups['path'] ?? groups['dynamic'] ?? ''
    if (!path.startsWith('.')) return []
    const to = relative(root, resolve(root, dirname(file), path)).replace(/\.js$/u, '.ts')
    const names = (groups['names'] ?? '').replaceAll(/[{}]/gu, '').split(',')
    const inline = names.every((name) => name.trim() === '' || name.trim().startsWith('type '))
    const types =
      groups['type'] !== undefined ||
      groups['typeof'] !== undefined ||
      (groups['names'] !== undefined && inline)
    return [{ from: file, to, types, later: groups['dynamic'] !== undefined }]
  })
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
}

const imports = filesIn('src').flatMap((file) => importsOf(file, readFileSync(join(root, file), 'utf8')))
/** "plan", "profile/schema"; the empty string for the leaves beside the folders. */
const folderOf = (file: string): string => dirname(file).replace(/^src\/?/u, '')
const across = imports.filter(({ from, to }) => to.startsWith('src/') && folderOf(from) !== folderOf(to))

/** The first circle found, as the names on it; undefined when there is none. */
function circle(arrows: readonly (readonly [string, string])[]): string[] | undefined {
  const next = new Map<string, string[]>()
  for (const [from, to] of arrows) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const walk = (node: string, path: readonly string[]): string[] | undefined => {
    const seen = path.indexOf(node)
    if (seen !== -1) return [...path.slice(seen), node]
    if (done.has(node)) return undefined
    for (const to of next.get(node) ?? []) {
      const found = walk(to, [...path, node])
      if (found !== undefined) return found
    }
    done.add(node)
    return undefined
  }
  for (const node of next.keys()) {
    const found = walk(node, [])
    if (found !== undefined) return found
  }
  return undefined
}

describe('folders of src/', () => {
  it('are those of the list', () => {
    const folders = new Set(filesIn('src').map(folderOf))
    folders.delete('')
    expect([...folders].sort()).toEqual(ARROWS.map(([name]) => name).sort())
  })

  it('stand in an order in which each knows only those before it', () => {
    ARROWS.forEach(([, known], index) => {
      const before = ARROWS.slice(0, index).map(([name]) => name)
      expect(Object.keys(known).filter((name) => !before.includes(name))).toEqual([])
    })
  })

  it.each(ARROWS)('%s imports only what it may', (folder, known) => {
    const wrong = across
      .filter(({ from, to }) => folderOf(from) === folder && folderOf(to) !== '')
      .filter(({ to, types }) => {
        const allowed = known[folderOf(to)]
        return allowed === undefined || (allowed === 'types' && !types)
      })
      .map(({ from, to, types }) => `${from} -> ${to}${types ? ' (types)' : ''}`)
    expect(wrong).toEqual([])
  })

  it('hold no circle of files, types included', () => {
    expect(circle(imports.map(({ from, to }) => [from, to] as const))).toBeUndefined()
  })

  it(`have at most ${MAX_FILES} files each`, () => {
    const counts = new Map<string, number>()
    for (const file of filesIn('src')) counts.set(folderOf(file), (counts.get(folderOf(file)) ?? 0) + 1)
    expect([...counts].filter(([, count]) => count > MAX_FILES)).toEqual([])
  })

  it('leave the leaves to themselves: of the folders they know the words of protocol/ alone', () => {
    const wrong = across.filter(
      ({ from, to, types }) => folderOf(from) === '' && !(types && folderOf(to) === 'protocol'),
    )
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  it('are loaded by cli/ only when a command asks for them', () => {
    const eager = across.filter(
      ({ from, to, types, later }) => folderOf(from) === 'cli' && folderOf(to) !== '' && !types && !later,
    )
    expect(eager.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  it('never reach into commands/', () => {
    expect(imports.filter(({ to }) => to.startsWith('commands/'))).toEqual([])
  })

  it('leave the entry to itself: no file imports src/cli/cli.ts', () => {
    expect(imports.filter(({ to }) => to === 'src/cli/cli.ts')).toEqual([])
  })
})

describe('the search for circles', () => {
  it('finds one and names it', () => {
    expect(
      circle([
        ['a', 'b'],
        ['b', 'c'],
        ['c', 'b'],
      ]),
    ).toEqual(['b', 'c', 'b'])
    expect(
      circle([
        ['a', 'b'],
        ['a', 'c'],
        ['b', 'c'],
      ]),
    ).toBeUndefined()
  })
})

describe('commands/', () => {
  const commands = filesIn('commands').map((file) => [file, readFileSync(join(root, file), 'utf8')] as const)

  it.each(commands)('%s loads at start-up no more than oclif, cli/ and the leaves of src/', (file, text) => {
    const eager = importsOf(file, text).filter(
      ({ to, types, later }) => !types && !later && !/^src\/(?:cli\/)?[^/]+$/u.test(to),
    )
    expect(eager.map(({ to }) => to)).toEqual([])
    const packages = [...text.matchAll(/from '(?<name>[^.'][^']*)'/gu)].map(
      ({ groups }) => groups?.['name'] ?? '',
    )
    expect(packages.filter((name) => name !== '@oclif/core' && !name.startsWith('node:'))).toEqual([])
  })
})

describe('the reader of imports', () => {
  it('sees static, type-only, inline-type, re-exported and dynamic imports, and no comments', () => {
    const text = `
import { a } from '../plan/plan.js'
import type { B } from '../run/event.js'
import { type C, type D } from './e.js'
import { type C, d } from './f.js'
export { g } from './g.js'
import './h.js'
// import { no } from './no.js'
/* import { no } from './no.js' */
import fs from 'node:fs'
const later = await import('../ui/live.js')
type T = typeof import('../link/open.js')
import {
  long,
} from './long.js'
`
    expect(importsOf('src/phases/x.ts', text).map(({ to, types }) => [to, types])).toEqual([
      ['src/plan/plan.ts', false],
      ['src/run/event.ts', true],
      ['src/phases/e.ts', true],
      ['src/phases/f.ts', false],
      ['src/phases/g.ts', false],
      ['src/phases/h.ts', false],
      ['src/ui/live.ts', false],
      ['src/link/open.ts', true],
      ['src/phases/long.ts', false],
    ])
  })
})
