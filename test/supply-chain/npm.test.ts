import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { allows } from './licences.js'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly license?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

/** Of what is shipped, bundled or installed with ferry. A new entry takes a reason in its commit. */
const RUNTIME_LICENCES = new Set(['Apache-2.0', 'BlueOak-1.0.0', 'ISC', 'MIT'])
/** esbuild puts the program of this machine in place; it is no part of what is shipped. */
const INSTALL_SCRIPTS = ['node_modules/esbuild']

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>
}
const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
const where = (wrong: (locked: Locked) => boolean): string[] =>
  packages.filter(([, locked]) => wrong(locked)).map(([path]) => path)

describe('package-lock.json', () => {
  it('has every package from the registry, by a version and its SHA-512', () => {
    expect(packages.length).toBeGreaterThan(100)
    // A package of git, of a file or of an address of its own says so here; `.npmrc` of whoever installs names the registry.
    expect(where(({ link, resolved }) => link === true || resolved !== undefined)).toEqual([])
    expect(where(({ integrity }) => !/^sha512-[\w+/]{86}==$/u.test(integrity ?? ''))).toEqual([])
    expect(where(({ version }) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/u.test(version ?? ''))).toEqual([])
  })

  it('has no install script but the known one', () => {
    expect(where(({ hasInstallScript }) => hasInstallScript === true)).toEqual(INSTALL_SCRIPTS)
    expect(lock.packages['node_modules/esbuild']?.dev).toBe(true)
  })

  it('has runtime dependencies of listed licences alone', () => {
    const runtime = (locked: Locked): boolean => locked.dev !== true
    expect(where(runtime).length).toBeGreaterThan(20)
    expect(where((locked) => runtime(locked) && !allows(locked.license ?? '', RUNTIME_LICENCES))).toEqual([])
  })
})

describe('a licence expression', () => {
  const allowed = new Set(['MIT', 'ISC', 'Apache-2.0 WITH LLVM-exception'])
  it.each([
    ['MIT', true],
    ['GPL-3.0-only', false],
    ['', false],
    ['(MIT OR CC0-1.0)', true],
    ['GPL-3.0-only/MIT', true],
    ['GPL-3.0-only OR MIT AND ISC', true],
    ['(GPL-3.0-only OR MIT) AND ISC', true],
    ['(GPL-3.0-only OR MIT) AND Unicode-3.0', false],
    ['MIT AND GPL-3.0-only', false],
    ['Apache-2.0 WITH LLVM-exception', true],
    ['MIT WITH LLVM-exception', false],
    ['MIT ISC', false],
  ])('%s: %s', (expression, expected) => {
    expect(allows(expression, allowed)).toBe(expected)
  })
})
