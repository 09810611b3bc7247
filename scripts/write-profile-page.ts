/** Writes docs/profile.md: the pages' introduction, and every key of the JSON schema of profiles. */
import { readFileSync } from 'node:fs'

interface Schema {
  readonly description?: string
  readonly default?: unknown
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
}

const SCHEMA = new URL('../profiles/profile.schema.json', import.meta.url)
const INTRODUCTION = new URL('./profile-intro.md', import.meta.url)
const FAULTS = 'devices[].source.sim.faults'
/** The simulated device has many keys of its own, and its own heading. */
const SIMULATED = 'devices[].source.sim'

function alternatives(schema: Schema): readonly Schema[] {
  return schema.anyOf ?? schema.oneOf ?? []
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

/** What a key takes, in a few words. */
function takes(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  const options = alternatives(schema)
  if (options.length > 0) return [...new Set(options.map(takes))].join(', ')
  if (schema.items !== undefined) return 'list'
  if (schema.properties !== undefined) return 'mapping'
  const types = schema.type === undefined ? ['any'] : [schema.type].flat()
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    boolean: 'true, false',
    integer: 'number',
  }
  return types.map((type) => words[type] ?? type).join(', ')
}

interface Row {
  readonly path: string
  readonly schema: Schema
  readonly needed: boolean
}

function children(path: string, schema: Schema): readonly Row[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const row = {
      path: path === '' ? key : `${path}.${key}`,
      schema: child,
      needed: schema.required?.includes(key) ?? false,
    }
    return [row, ...children(row.path, child)]
  })
  const items = schema.items === undefined ? [] : children(`${path}[]`, schema.items)
  return [...own, ...items, ...alternatives(schema).flatMap((option) => children(path, option))]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ path, schema, needed }) => {
    const initial = schema.default
    const scalar = initial !== undefined && (typeof initial !== 'object' || initial === null)
    const preset = needed ? 'required' : scalar ? code(initial) : ''
    return `| \`${path}\` | ${cell(takes(schema))} | ${preset} | ${cell(schema.description ?? '')} |`
  })
  return ['| key | takes | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

/** Each kind of fault with the keys it takes beside its kind. */
function faultTable(faults: Schema): string {
  const kinds = alternatives(faults.items ?? {}).map(({ properties = {}, required = [], description }) => {
    const keys = Object.entries(properties)
      .filter(([key]) => key !== 'kind')
      .map(([key, { description: meaning = '' }]) => {
        return `\`${key}\`${required.includes(key) ? '' : ' (optional)'}: ${meaning}`
      })
    return `| ${takes(properties.kind ?? {})} | ${cell(description ?? '')} | ${cell(keys.join('; '))} |`
  })
  return ['| kind | what happens | keys |', '| --- | --- | --- |', ...kinds].join('\n')
}

export function profilePage(): string {
  const schema = JSON.parse(readFileSync(SCHEMA, 'utf8')) as Schema
  const seen = new Set<string>()
  // A union of forms may name one key twice.
  const rows = children('', schema).filter(({ path }) => !seen.has(path) && seen.add(path))
  const simulated = rows.filter(({ path }) => path.startsWith(SIMULATED) && !path.startsWith(`${FAULTS}[]`))
  const faults = rows.find(({ path }) => path === FAULTS)?.schema ?? {}
  const other = rows.filter(({ path }) => !/\.sim(?:\.|\[|$)/u.test(path))
  const group = (name: string): readonly Row[] =>
    other.filter(({ path }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`))
  const sections = Object.keys(schema.properties ?? {}).map(
    (name) => `### \`${name}\`\n\n${table(group(name))}`,
  )
  return [
    readFileSync(INTRODUCTION, 'utf8').trimEnd(),
    '## Every key',
    'Generated from `profiles/profile.schema.json` by `npm run docs`.',
    ...sections,
    '### Simulated devices',
    'A `sim` on the source and one on the destination have the same keys.',
    table(simulated.map((row) => ({ ...row, path: row.path.slice('devices[].source.'.length) }))),
    '### Faults of simulated devices',
    'Entries of `sim.faults`. Each device of a side has its own.',
    faultTable(faults),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/u, '\n')
}
