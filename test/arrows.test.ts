/**
 * The folders of src/ stand in the order of the data flow, and imports point one way along it:
 * profile -> inventory -> plan -> phases -> run -> report -> ui, with link/ beside them.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

type Strength = 'types' | 'values'
/**
 * What a folder may import from other folders of src/. Types of link/ are the control protocol's words, which all know;
 * its values are ways to reach a helper, which only those that reach one may.
 */
const ARROWS: Readonly<Record<string, Readonly<Record<string, Strength>>>> = {
  link: { profile: 'types' },
  profile: { link: 'types' },
  inventory: { profile: 'values', link: 'values' },
  plan: { profile: 'values', inventory: 'values', link: 'types' },
  phases: { profile: 'values', inventory: 'types', plan: 'values', link: 'values' },
  run: { profile: 'values', inventory: 'values', plan: 'values', phases: 'values', link: 'values' },
  // The socket of a run that is under way: both ends of it.
  control: { run: 'values', link: 'values' },
  doctor: { profile: 'values', link: 'values' },
  // They know events and the journal, so that a saved journal replays both.
  report: { run: 'values', plan: 'types', link: 'types' },
  ui: { doctor: 'types', run: 'values', report: 'values', plan: 'types', inventory: 'types', link: 'types' },
}

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
const folderOf = (file: string): string | undefined =>
  /^src\/(?<folder>[^/]+)\//u.exec(file)?.groups?.['folder']

describe('folders of src/', () => {
  it('are those of the design', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    const names = folders.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    expect(names.sort()).toEqual(Object.keys(ARROWS).sort())
  })

  it.each(Object.keys(ARROWS))('%s imports only what stands before it', (folder) => {
    const wrong = imports
      .filter(
        ({ from, to }) => folderOf(from) === folder && folderOf(to) !== folder && folderOf(to) !== undefined,
      )
      .filter(({ to, types }) => {
        const allowed = Object.entries(ARROWS[folder] ?? {}).find(([target]) =>
          to.startsWith(`src/${target}/`),
        )
        return allowed === undefined || (allowed[1] === 'types' && !types)
      })
      .map(({ from, to, types }) => `${from} -> ${to}${types ? ' (types)' : ''}`)
    expect(wrong).toEqual([])
  })

  it('are never imported as values by the files above them, which start-up loads', () => {
    const eager = imports.filter(
      ({ from, to, types, later }) =>
        folderOf(from) === undefined && folderOf(to) !== undefined && !types && !later,
    )
    expect(eager.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
  })

  it('never reach into commands/', () => {
    expect(imports.filter(({ to }) => to.startsWith('commands/'))).toEqual([])
  })

  it('leave the entry to itself: nothing imports src/cli/cli.ts', () => {
    expect(imports.filter(({ to }) => to === 'src/cli/cli.ts')).toEqual([])
  })
})

describe('commands/', () => {
  const commands = filesIn('commands').map((file) => [file, readFileSync(join(root, file), 'utf8')] as const)

  it.each(commands)('%s loads at start-up no more than oclif and the light files of src/', (file, text) => {
    const eager = importsOf(file, text).filter(
      ({ to, types, later }) => !types && !later && folderOf(to) !== undefined,
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
