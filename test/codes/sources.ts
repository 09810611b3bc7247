/** Finds the codes that the sources use: strings of the form area/what, and those put together from parts. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CODE = /^[a-z]+(?:-[a-z]+)*\/[a-z0-9]+(?:-[a-z0-9]+)*$/u

/** Text without comments. A string that holds "//" is no code, so what it loses does not matter. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gmu, '')
}

/** Codes in a TypeScript source. */
export function codesOfTypeScript(source: string): string[] {
  const text = withoutComments(source)
  const whole = [...text.matchAll(/(?<quote>['"])(?<text>[^'"\n]*)\k<quote>/gu)]
    .map(({ groups }) => groups?.['text'] ?? '')
    .filter((found) => CODE.test(found))
  const usage = [...text.matchAll(/usageError\(\s*'(?<what>[a-z-]+)'/gu)].map(
    ({ groups }) => `usage/${groups?.['what']}`,
  )
  return [...whole, ...usage]
}

/** Words after usage/ that src/errors.ts chooses by what oclif found. */
export function codesOfOclif(source: string): string[] {
  const chosen = /const code = (?<words>[\s\S]*?)\n {2}return/u.exec(source)?.groups?.['words'] ?? ''
  return [...chosen.matchAll(/'(?<what>[a-z-]+)'/gu)].map(({ groups }) => `usage/${groups?.['what']}`)
}

/** Codes of the doctor's checks: `ok('layer', 'what', …)`, `lack(needed, 'layer', 'what', …)`. */
export function codesOfDoctor(source: string): string[] {
  const text = withoutComments(source)
  const call = /\b(?:(?:ok|warn|fail)\(|lack\(\s*[^,]+,)\s*(?:'[a-z-]+'|layer),\s*'(?<what>[a-z-]+)'/gu
  const calls = [...text.matchAll(call)].map(({ groups }) => `doctor/${groups?.['what']}`)
  const nodes = [...text.matchAll(/`\$\{layer\}-(?<what>[a-z]+)`/gu)].flatMap(({ groups }) =>
    [...text.matchAll(/nodeChecks\('(?<layer>[a-z]+)'/gu)].map(
      (call) => `doctor/${call.groups?.['layer']}-${groups?.['what']}`,
    ),
  )
  const options = /`option-\$\{/u.test(text)
    ? [...text.matchAll(/\boption: '(?<name>[A-Z0-9_]+)'/gu)].map(
        ({ groups }) => `doctor/option-${(groups?.['name'] ?? '').toLowerCase().replaceAll('_', '-')}`,
      )
    : []
  return [...calls, ...nodes, ...options]
}

/** Codes in a Rust source; its tests, which stand at the end, may make up their own. */
export function codesOfRust(source: string): string[] {
  const text =
    withoutComments(source).split(/^#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))? )?mod \w+ \{/mu)[0] ?? ''
  return [...text.matchAll(/"(?<text>[^"\n]*)"/gu)]
    .map(({ groups }) => groups?.['text'] ?? '')
    .filter((found) => CODE.test(found))
}

function filesBelow(folder: string, ending: string, skip: RegExp): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (skip.test(path)) return []
    if (entry.isDirectory()) return filesBelow(path, ending, skip)
    return entry.name.endsWith(ending) ? [path] : []
  })
}

/** Every code in use, with the files that use it. The tables themselves do not count. */
export function codesInUse(): Map<string, string[]> {
  const used = new Map<string, string[]>()
  const note = (file: string, codes: readonly string[]): void => {
    for (const code of codes) used.set(code, [...(used.get(code) ?? []), file])
  }
  const read = (file: string): string => readFileSync(join(root, file), 'utf8')
  const tables = /^src\/codes$|^src\/plan\/codes\.ts$|^src\/profile\/findings\/codes\.ts$/u
  for (const file of ['src', 'commands'].flatMap((folder) => filesBelow(folder, '.ts', tables))) {
    const text = read(file)
    note(file, codesOfTypeScript(text))
    if (file.startsWith('src/doctor/')) note(file, codesOfDoctor(text))
    if (/fromOclif/u.test(text)) note(file, codesOfOclif(text))
  }
  // Wherever a crate of the workspace lies. Examples and tests show their codes to no one.
  const elsewhere = /\/(?:target|tests|examples|fuzz|benches|tests\.rs|testing\.rs)$/u
  for (const file of filesBelow('helper', '.rs', elsewhere)) note(file, codesOfRust(read(file)))
  return used
}
