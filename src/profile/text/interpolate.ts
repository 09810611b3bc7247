/**
 * `${VAR}` in values, as Docker Compose does it: `${VAR:-default}`, `${VAR:?why}`, `${VAR:+instead}`, `$$` for a
 * dollar sign; without the colon an empty variable counts as set. Two differences: a variable that is not set and has
 * no default is an error (an empty host or address is a trap), and so is a bare `$VAR`.
 *
 * It works on the parsed document, so a value can never change the profile's structure, and every finding keeps its
 * place.
 */
import { Scalar, visit } from 'yaml'
import { didYouMean } from '../../did-you-mean.js'
import { locate, type ProfileDocument } from './document.js'
import type { ProfileFinding } from '../findings/finding.js'
import type { Span } from '../findings/source-text.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** Replaces variables in place and returns what could not be replaced. */
export function interpolate(doc: ProfileDocument, env: Environment): ProfileFinding[] {
  const findings: ProfileFinding[] = []
  visit(doc.document, {
    // The shell has expanded what came by --set already.
    Collection(_key, node) {
      return doc.foreign.has(node) ? visit.SKIP : undefined
    },
    Scalar(key, node) {
      if (key === 'key' || doc.foreign.has(node)) return
      if (typeof node.value !== 'string' || !node.value.includes('$')) return
      const { text, problems } = expand(node.value, env)
      for (const problem of problems) findings.push(place(doc, node, problem))
      node.value = node.type === Scalar.PLAIN ? typed(text) : text
    },
  })
  return findings
}

interface Problem {
  readonly code: 'profile/unset-variable' | 'profile/variable-syntax'
  /** The expression as written, to find its place. */
  readonly expression: string
  readonly message: string
  readonly help: string
}

/** Expands one text. Exported for tests. */
export function expand(
  input: string,
  env: Environment,
): { readonly text: string; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  let text = ''
  let at = 0
  while (at < input.length) {
    const dollar = input.indexOf('$', at)
    if (dollar === -1) break
    text += input.slice(at, dollar)
    if (input[dollar + 1] === '$') {
      text += '$'
      at = dollar + 2
      continue
    }
    const end = input[dollar + 1] === '{' ? closingBrace(input, dollar + 2) : -1
    const expression = input.slice(dollar, end === -1 ? undefined : end + 1)
    const match = /^\$\{(?<name>[A-Za-z_]\w*)(?:(?<operator>:?[-?+])(?<word>.*))?\}$/su.exec(expression)
    if (end === -1 || match?.groups === undefined) {
      problems.push(
        syntaxProblem(end === -1 ? input.slice(dollar).slice(0, bareLength(input, dollar)) : expression),
      )
      text += expression
      at = end === -1 ? input.length : end + 1
      continue
    }
    const { name = '', operator = '', word = '' } = match.groups
    text += substitute(name, operator, word, expression, env, problems)
    at = end + 1
  }
  return { text: text + input.slice(at), problems }
}

function substitute(
  name: string,
  operator: string,
  word: string,
  expression: string,
  env: Environment,
  problems: Problem[],
): string {
  const value = env[name]
  const set = value !== undefined && !(operator.startsWith(':') && value === '')
  const nested = (): string => {
    const inner = expand(word, env)
    for (const problem of inner.problems) problems.push(problem)
    return inner.text
  }
  if (operator.endsWith('+')) return set ? nested() : ''
  if (set) return value
  if (operator.endsWith('-')) return nested()
  const near = didYouMean(
    name,
    Object.keys(env).filter((other) => env[other] !== undefined),
  )
  const why = operator.endsWith('?') && word !== '' ? `: ${nested()}` : ''
  problems.push({
    code: 'profile/unset-variable',
    expression,
    message: `the variable \`${name}\` is not set${value === '' ? ' (it is empty)' : ''}${why}`,
    help: near === undefined ? `set it, or give a default: \${${name}:-…}` : `did you mean \`\${${near}}\`?`,
  })
  return ''
}

/** Offset of the brace that closes an expression whose body begins at `from`, or -1. */
function closingBrace(input: string, from: number): number {
  let depth = 1
  for (let at = from; at < input.length; at++) {
    if (input[at] === '$' && input[at + 1] === '{') {
      depth++
      at++
    } else if (input[at] === '}' && --depth === 0) {
      return at
    }
  }
  return -1
}

function bareLength(input: string, dollar: number): number {
  return (/^\$\{?\w*/u.exec(input.slice(dollar))?.[0] ?? '$').length
}

function syntaxProblem(expression: string): Problem {
  const bare = /^\$(?<name>[A-Za-z_]\w*)/u.exec(expression)?.groups?.['name']
  return {
    code: 'profile/variable-syntax',
    expression,
    message: 'this cannot be read as a variable',
    help: `write \${${bare ?? 'NAME'}} for a variable, or $$ for a dollar sign`,
  }
}

/** What an unquoted value turns into when it holds no more than a number or a word YAML knows. Never a structure. */
function typed(text: string): unknown {
  if (/^(?:null|~)$/u.test(text)) return null
  if (/^(?:true|false)$/u.test(text)) return text === 'true'
  if (/^(?:0|-?[1-9]\d*|0x[\da-f]+)$/iu.test(text)) {
    const number = Number(text)
    return Number.isSafeInteger(number) ? number : text
  }
  return text
}

/** The expression itself when the text shows it as written, otherwise the whole value. */
function place(doc: ProfileDocument, node: Scalar, problem: Problem): ProfileFinding {
  const { code, message, help, expression } = problem
  const [start, end] = node.range ?? [0, 1]
  const offset = doc.source.text.slice(start, end).indexOf(expression)
  const span: Span =
    offset === -1
      ? { source: doc.source, start, end }
      : { source: doc.source, start: start + offset, end: start + offset + expression.length }
  return { code, path: [], span: node.range ? span : locate(doc, []), found: message, remedy: help }
}
