/** YAML's own complaints as findings, and the limits that keep a hostile text from its parser. */
import { isScalar, visit, type Document, type YAMLError } from 'yaml'
import type { ProfileFinding } from '../findings/finding.js'
import { positionOf, type SourceText, type Span } from '../findings/source-text.js'

/** More than any profile needs; a hundred aliases of aliases are an attack. */
export const MAX_ALIASES = 100
/** A profile is about eight levels deep. */
const MAX_DEPTH = 64

/** One slip makes a parser complain several times on its line; the first says it. */
export function syntaxFindings(document: Document, source: SourceText): ProfileFinding[] {
  const lines = new Map<number, YAMLError>()
  for (const error of [...document.errors, ...document.warnings]) {
    const { line } = positionOf(source, error.pos[0])
    if (!lines.has(line)) lines.set(line, error)
  }
  return [...lines.values()].map((error) => syntaxFinding(error, source))
}

function syntaxFinding(error: YAMLError, source: SourceText): ProfileFinding {
  const [start, end] = error.pos
  const span = { source, start, end: Math.max(end, start + 1) }
  const plain = { path: [], span, found: error.message }
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return {
        ...plain,
        code: 'profile/tab-indent',
        found: 'a tab is used for indentation',
        remedy: 'indent with spaces',
      }
    case 'MULTIPLE_DOCS':
      return {
        ...plain,
        code: 'profile/syntax',
        found: 'a profile is one YAML document',
        remedy: 'remove the `---`',
      }
    default:
      return { ...plain, code: 'profile/syntax', ...braceHelp(source, start) }
  }
}

/** `{mdev: ${UUID}}`: inside { } YAML ends an unquoted value at the brace. */
function braceHelp(source: SourceText, offset: number): { readonly remedy?: string } {
  const { lineStart, lineEnd } = positionOf(source, offset)
  if (!/\{.*[^'"]\$\{/u.test(source.text.slice(lineStart, lineEnd))) return {}
  return { remedy: 'inside { }, put a value with ${…} in quotes' }
}

/** What yaml throws instead of collecting: depth, aliases, `<<` of something that is not a mapping. Rethrows the rest. */
export function thrownFinding(error: unknown, source: SourceText): ProfileFinding {
  const span = { source, start: 0, end: 1 }
  if (!(error instanceof Error)) throw error
  if (error instanceof RangeError && error.message.includes('call stack')) return deepFinding(span)
  if (error instanceof ReferenceError && /alias/iu.test(error.message)) return tooManyAliases(span)
  if (error.name !== 'Error') throw error
  return { code: 'profile/syntax', path: [], span, found: error.message }
}

/** Too many aliases, or ones that stand for nothing. */
export function aliasFindings(document: Document, source: SourceText): ProfileFinding[] {
  let count = 0
  const findings: ProfileFinding[] = []
  visit(document, {
    Alias(_key, alias) {
      const [start, end] = alias.range ?? [0, 1]
      const span = { source, start, end }
      // Resolving one walks the document, so their number is bounded before any is.
      if (++count > MAX_ALIASES) {
        findings.push(tooManyAliases(span))
        return visit.BREAK
      }
      if (alias.resolve(document) === undefined) {
        const message = `there is no anchor \`${alias.source}\` before this`
        findings.push({
          code: 'profile/syntax',
          path: [],
          span,
          found: message,
          remedy: `write &${alias.source} before the value`,
        })
      }
      return undefined
    },
  })
  return findings
}

function tooManyAliases(span: Span): ProfileFinding {
  return {
    code: 'profile/too-many-aliases',
    path: [],
    span,
    found: 'aliases expand to too much, or to themselves',
    remedy: `write the values out; at most ${MAX_ALIASES} aliases are followed`,
  }
}

/**
 * yaml recurses for each level, and deep enough it ends the process, not only its own stack: so depth is judged
 * before it sees the text, by brackets that are open and by indentation. Brackets in strings count as well, which
 * no profile will notice.
 */
export function tooDeep(source: SourceText): ProfileFinding | undefined {
  let open = 0
  for (const match of source.text.matchAll(/[[\]{}]|^(?:[ \t]*[-?:!&][^\s]*[ \t]){64}|^[ ]{256}/gmu)) {
    const [found] = match
    if (found.length > 1) return deepFinding({ source, start: match.index, end: match.index + 1 })
    if (found === '[' || found === '{') open++
    else open = Math.max(0, open - 1)
    if (open > MAX_DEPTH) return deepFinding({ source, start: match.index, end: match.index + 1 })
  }
  return undefined
}

function deepFinding(span: Span): ProfileFinding {
  return { code: 'profile/too-deep', path: [], span, found: 'nested too deeply to be a profile' }
}

/** Keys that stand twice in one mapping. yaml's own check compares all keys with all others. */
export function repeatedKeys(document: Document, source: SourceText): ProfileFinding[] {
  const findings: ProfileFinding[] = []
  visit(document, {
    Map(_key, map) {
      const seen = new Set<unknown>()
      for (const { key } of map.items) {
        if (!isScalar(key) || !key.range) continue
        if (seen.has(key.value)) {
          const span = { source, start: key.range[0], end: Math.max(key.range[1], key.range[0] + 1) }
          findings.push({
            code: 'profile/duplicate-key',
            path: [],
            span,
            found: 'this key is given twice in one mapping',
            remedy: 'keep one of them',
          })
        }
        seen.add(key.value)
      }
    },
  })
  return findings
}
