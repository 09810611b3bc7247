/** zod's issues as findings: the place, our code, and words an operator knows. */
import type * as z from 'zod'
import { didYouMean } from '../../did-you-mean.js'
import { PROFILE_CODES, type ProfileCode } from '../findings/codes.js'
import { pathText, type ProfileFinding, type Path } from '../findings/finding.js'
import { profileJsonSchema } from './schema.js'

type Issue = z.core.$ZodIssue

export function issuesToFindings(issues: readonly Issue[], raw: unknown): ProfileFinding[] {
  return issues.flatMap((issue) => issueToFindings(issue, raw))
}

function issueToFindings(issue: Issue, raw: unknown): ProfileFinding[] {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key]))
  if (issue.code === 'invalid_union') {
    const inner = nearestBranch(issue)
    if (inner !== undefined) {
      return inner.flatMap((each) =>
        issueToFindings({ ...each, path: [...path, ...each.path] } as Issue, raw),
      )
    }
  }
  const found = at(raw, path)
  if (path.length > 0 && found === undefined) return [missingKey(path)]
  if (issue.code === 'custom') return [customFinding(issue, path)]
  return [valueFinding(issue, path, found)]
}

function unknownKey(path: Path): ProfileFinding {
  const key = String(path.at(-1))
  const parent = path.slice(0, -1)
  const known = knownKeys(parent)
  const near = didYouMean(key, known)
  return {
    code: 'profile/unknown-key',
    path,
    at: 'key',
    found: `unknown key \`${key}\` in ${pathText(parent)}`,
    label: 'unknown key',
    ...(known.length > 0 && {
      remedy: near === undefined ? `known here: ${known.join(', ')}` : `did you mean \`${near}\`?`,
    }),
  }
}

function missingKey(path: Path): ProfileFinding {
  const description = schemaAt(path)
    .map((node) => node['description'])
    .find((text) => typeof text === 'string')
  return {
    code: 'profile/missing-key',
    path: path.slice(0, -1),
    at: 'key',
    found: `${pathText(path.slice(0, -1))} needs \`${String(path.at(-1))}\``,
    ...(typeof description === 'string' && { remedy: description }),
  }
}

function customFinding(issue: Issue, path: Path): ProfileFinding {
  const code = (issue as { params?: { code?: unknown } }).params?.code
  const known = typeof code === 'string' && Object.hasOwn(PROFILE_CODES, code)
  return {
    code: known ? (code as ProfileCode) : 'profile/invalid-value',
    path,
    found: `invalid ${pathText(path)}`,
    label: issue.message,
  }
}

function valueFinding(issue: Issue, path: Path, found: unknown): ProfileFinding {
  const where = pathText(path)
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(
        path,
        issue.expected === 'int' ? 'a whole number' : (kindNames[issue.expected] ?? issue.expected),
        found,
      )
    case 'invalid_union':
      if (issue.discriminator !== undefined) return choice(path, constants(path), found)
      return { ...wrongType(path, issue.message, found), ...meant(path, found) }
    case 'invalid_value':
      if (path.length === 1 && path[0] === 'version') {
        return {
          code: 'profile/version',
          path,
          found: `version ${shown(found)} is not known`,
          remedy: 'this ferry reads version: 1',
        }
      }
      return choice(path, issue.values.map(String), found)
    case 'invalid_key':
      return { ...unknownKey(path), at: 'key' }
    case 'too_small':
    case 'too_big': {
      const bound = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`
      const text = issue.origin === 'array' ? issue.message : `this must be ${bound}`
      return { code: 'profile/invalid-value', path, found: `invalid ${where}`, label: text }
    }
    default:
      return { code: 'profile/invalid-value', path, found: `invalid ${where}`, label: issue.message }
  }
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  object: 'a mapping',
  array: 'a list',
  record: 'a mapping',
}

function wrongType(path: Path, expected: string, found: unknown): ProfileFinding {
  const quotable = expected === 'text' && ['number', 'boolean'].includes(typeof found)
  return {
    code: 'profile/wrong-type',
    path,
    found: path.length === 0 ? 'a profile is a mapping of keys' : `wrong type for ${pathText(path)}`,
    label: `expected ${expected}, found ${shown(found)}`,
    ...(quotable && { remedy: `put it in quotes to make it text: '${String(found)}'` }),
  }
}

function choice(path: Path, values: readonly string[], found: unknown): ProfileFinding {
  const near = typeof found === 'string' ? didYouMean(found, values) : undefined
  return {
    code: 'profile/invalid-value',
    path,
    found: `invalid ${pathText(path)}`,
    ...(values.length > 0 && { label: `expected ${values.join(', ')}` }),
    ...(near !== undefined && { remedy: `did you mean \`${near}\`?` }),
  }
}

/** The word that was meant, where some words stand for themselves and a mapping says the rest. */
function meant(path: Path, found: unknown): { readonly remedy?: string } {
  const near = typeof found === 'string' ? didYouMean(found, constants(path)) : undefined
  return near === undefined ? {} : { remedy: `did you mean \`${near}\`?` }
}

function shown(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return typeof value === 'string' ? `text` : String(value)
}

/** The branch of a union that fits the value's kind: one that complains of something inside, not of the whole. */
function nearestBranch(issue: Extract<Issue, { code: 'invalid_union' }>): readonly Issue[] | undefined {
  const inside = issue.errors.filter((branch) =>
    branch.every(
      (each) => each.path.length > 0 || each.code === 'custom' || each.code === 'unrecognized_keys',
    ),
  )
  return inside.find((branch) => branch.length > 0)
}

function at(raw: unknown, path: Path): unknown {
  let value = raw
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

type SchemaNode = Readonly<Record<string, unknown>>

/** Made at the first problem only. */
let jsonSchema: SchemaNode | undefined

/** Keys a mapping at this path may have. */
export function knownKeys(path: Path): string[] {
  const keys = schemaAt(path).flatMap((node) => [
    ...Object.keys((node['properties'] as object | undefined) ?? {}),
    ...(((node['propertyNames'] as SchemaNode | undefined)?.['enum'] as string[] | undefined) ?? []),
  ])
  return [...new Set(keys)]
}

/** Words the alternatives of a path are told apart by. */
function constants(path: Path): string[] {
  return schemaAt(path).flatMap((node) => {
    const words = [node['const'], ...((node['enum'] as unknown[] | undefined) ?? [])]
    return words.filter((word) => typeof word === 'string')
  })
}

/** The JSON Schema's nodes that describe a path; several where alternatives are allowed. */
function schemaAt(path: Path): readonly SchemaNode[] {
  jsonSchema ??= profileJsonSchema()
  let nodes = alternatives([jsonSchema])
  for (const step of path) {
    const next = nodes.flatMap((node) => {
      const child =
        typeof step === 'number'
          ? node['items']
          : ((node['properties'] as Record<string, unknown> | undefined)?.[step] ?? undefined)
      return child === undefined ? [] : [child as SchemaNode]
    })
    nodes = alternatives(next)
  }
  return nodes
}

function alternatives(nodes: readonly SchemaNode[]): SchemaNode[] {
  return nodes.flatMap((node) => {
    const branches = [...((node['anyOf'] as SchemaNode[]) ?? []), ...((node['oneOf'] as SchemaNode[]) ?? [])]
    return branches.length === 0 ? [node] : [node, ...alternatives(branches)]
  })
}
