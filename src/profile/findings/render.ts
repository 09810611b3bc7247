/**
 * Findings as a compiler prints them, and as data:
 *
 *     error[profile/unknown-key]: unknown key `trakcer` in devices[0]
 *      --> vm.yaml:9:5
 *       |
 *     9 |     trakcer: auto
 *       |     ^^^^^^^ unknown key
 *       = help: did you mean `tracker`?
 */
import type { Diagnostic } from '../../errors.js'
import type { ProfileFinding } from './finding.js'
import { positionOf, type Span } from './source-text.js'

export type PlacedFinding = ProfileFinding & { readonly span: Span }

/** Longest piece of a source line that is shown. */
const MAX_SHOWN = 100
/** A page or two; the JSON has all. */
const MAX_PRINTED = 40

export function toDiagnostic(finding: PlacedFinding): Diagnostic {
  const { span, label, remedy: help } = finding
  const { line, column, lineEnd } = positionOf(span.source, span.start)
  return {
    code: finding.code,
    file: span.source.file,
    line,
    column,
    endColumn: column + Math.max(1, Math.min(span.end, lineEnd) - span.start),
    message: label === undefined ? finding.found : `${finding.found}: ${label}`,
    ...(help !== undefined && { help }),
  }
}

export function renderFindings(findings: readonly PlacedFinding[]): string {
  const blocks = findings.slice(0, MAX_PRINTED).map(renderFinding)
  const more = findings.length - blocks.length
  if (more > 0) blocks.push(`… and ${more} more`)
  return blocks.join('\n\n')
}

function renderFinding({ code, found: message, label, remedy: help, span }: PlacedFinding): string {
  const { source, start, end } = span
  const { line, column, lineStart, lineEnd } = positionOf(source, start)
  const gutter = ' '.repeat(String(line).length)
  const window = cut(source.text.slice(lineStart, lineEnd), Math.min(start, lineEnd) - lineStart, end - start)
  const lines = [
    `error[${code}]: ${printable(message)}`,
    `${gutter}--> ${printable(source.file)}:${line}:${column}`,
    `${gutter} |`,
    `${line} | ${printable(window.text)}`.trimEnd(),
    `${gutter} | ${padding(window.before)}${'^'.repeat(Math.max(1, width(window.marked)))}${label === undefined ? '' : ` ${printable(label)}`}`,
  ]
  if (help !== undefined) lines.push(`${gutter} = help: ${printable(help)}`)
  return lines.join('\n')
}

/** The part of a long line around the place, with what stands before the caret and under it. */
function cut(line: string, at: number, length: number): { text: string; before: string; marked: string } {
  const from = line.length > MAX_SHOWN ? Math.max(0, Math.min(at - 40, line.length - MAX_SHOWN)) : 0
  const to = Math.min(line.length, from + MAX_SHOWN)
  const left = from > 0 ? '…' : ''
  return {
    text: `${left}${line.slice(from, to)}${to < line.length ? '…' : ''}`,
    before: left + line.slice(from, at),
    marked: line.slice(at, Math.min(to, at + length)),
  }
}

/** Blanks as wide as the text; tabs stay tabs, so that the caret stands right whatever the terminal's tab stops are. */
function padding(text: string): string {
  return [...printable(text)].map((char) => (char === '\t' ? '\t' : ' '.repeat(width(char)))).join('')
}

/** Columns on a terminal: East Asian wide characters and emoji take two. */
function width(text: string): number {
  let columns = 0
  for (const char of text) {
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
        char,
      )
        ? 2
        : /\p{Mark}/u.test(char)
          ? 0
          : 1
  }
  return columns
}

/** Without control characters: a profile must not be able to drive the terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (char) => (char === '\t' ? char : '\ufffd'))
}
