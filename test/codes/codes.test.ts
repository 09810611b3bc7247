import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { allCodes, explain, FAMILIES } from '../../src/codes/catalogue.js'
import { codesPage } from '../../src/codes/text.js'
import { EXIT_CODES } from '../../src/exit-codes.js'
import { REASON_CODES } from '../../src/inventory/reasons.js'
import { codesInUse, codesOfDoctor, codesOfOclif, codesOfRust, codesOfTypeScript } from './sources.js'

const used = codesInUse()
const known = new Set(allCodes())
/** Not of the form area/what; the types hold that each of them has an entry. */
const byType = new Set([
  ...Object.keys(REASON_CODES),
  ...Object.values(EXIT_CODES).map(({ exit }) => String(exit)),
])

describe('the catalogue of codes', () => {
  it('has every code that the sources use', () => {
    const missing = [...used].filter(([code]) => !known.has(code))
    expect(missing).toEqual([])
  })

  it('has no code that the sources do not use', () => {
    expect([...known].filter((code) => !used.has(code) && !byType.has(code))).toEqual([])
  })

  it('has each code once', () => {
    expect(allCodes().length).toBe(known.size)
  })

  it('explains every code in full', () => {
    for (const code of known) {
      const { cause, meaning, remedy, where } = explain(code)!
      for (const text of [meaning, cause, remedy, where]) expect(text, code).toMatch(/\w/u)
      for (const text of [meaning, cause, remedy]) expect(text, code).toMatch(/[.]$/u)
    }
  })

  it('names only commands and flags that there are', () => {
    const folder = new URL('../../commands/', import.meta.url)
    const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))
    const base = readFileSync(new URL('../../src/cli/base-command.ts', import.meta.url), 'utf8')
    const texts = [base, ...files.map((name) => readFileSync(new URL(name, folder), 'utf8'))].join('\n')
    const flags = new Set(
      [...texts.matchAll(/^ +'?(?<flag>[a-z-]+)'?: (?:Flags\.|[a-z]+[A-Za-z]*Flag\()/gmu)].map(
        ({ groups }) => groups?.['flag'],
      ),
    )
    const advice = [...known].map((code) => Object.values(explain(code)!).join(' ')).join('\n')
    const commands = [...advice.matchAll(/`ferry (?<name>[a-z][a-z-]*)/gu)].map(
      ({ groups }) => groups?.['name'],
    )
    expect(commands.length).toBeGreaterThan(50)
    expect(commands.filter((name) => !files.includes(`${name}.ts`))).toEqual([])
    const named = [...advice.matchAll(/(?<=^|[ `])--(?:no-)?(?<flag>[a-z-]+)/gmu)].map(
      ({ groups }) => groups?.['flag'],
    )
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter((flag) => flag !== 'help' && !flags.has(flag))).toEqual([])
  })

  it('does not take a property of objects for a code', () => {
    expect(explain('constructor')).toBeUndefined()
    expect(explain('profile/none-such')).toBeUndefined()
  })
})

describe('docs/codes.md', () => {
  const page = readFileSync(new URL('../../docs/codes.md', import.meta.url), 'utf8')

  it('is as `npm run docs` writes it', () => {
    expect(page).toBe(codesPage(FAMILIES))
  })

  it('has a row for every code', () => {
    const rows = new Set(
      [...page.matchAll(/^\| `(?<code>[^`]+)` \|/gmu)].map(({ groups }) => groups?.['code']),
    )
    expect([...known].filter((code) => !rows.has(code))).toEqual([])
  })
})

describe('the search for codes in sources', () => {
  it('finds codes in TypeScript, and not those of comments', () => {
    const text = `
// 'not/this' /* "or/this" */
throw new FerryError({ code: 'a-b/c-d', exit })
throw usageError(
  'what-else',
)
import x from './a/b.js'`
    expect(codesOfTypeScript(text)).toEqual(['a-b/c-d', 'usage/what-else'])
  })

  it('finds the codes of checks, of nodes and of options', () => {
    const text = `
ok('ssh', 'there')
lack(needed, 'kernel', 'old')
fail(
  'huge-pages',
  'few',
)
nodeChecks('vfio', '/dev/vfio/vfio')
lack(needed, layer, \`\${layer}-closed\`)
const code = \`option-\${option}\`
{ option: 'VFIO_PCI', module: 'vfio-pci' }`
    expect(codesOfDoctor(text)).toEqual([
      'doctor/there',
      'doctor/old',
      'doctor/few',
      'doctor/vfio-closed',
      'doctor/option-vfio-pci',
    ])
  })

  it("finds the codes of oclif's errors", () => {
    const text = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8')
    expect(codesOfOclif(text)).toEqual(['usage/unknown-flag', 'usage/invalid', 'usage/arguments'])
  })

  it('finds codes in Rust before its tests', () => {
    const text = `
mod tests;
/// \`no/comment\` "no/comment"
HelperError::new("claim/busy", format!("a/b {}", x))
#[cfg(test)]
mod tests {
    HelperError::new("a/b", "")
}`
    expect(codesOfRust(text)).toEqual(['claim/busy'])
  })

  it('sees both programs', () => {
    expect(used.get('device/busy')?.some((file) => file.startsWith('helper/'))).toBe(true)
    expect(used.get('run/busy')?.some((file) => file.startsWith('src/'))).toBe(true)
    expect(used.size).toBeGreaterThan(250)
  })
})
