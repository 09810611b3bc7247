/**
 * A profile as a YAML document that remembers where everything stands: the file's text, and the text of each `--set`
 * that was laid over it.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from 'yaml'
import type { Node, Pair, YAMLMap } from 'yaml'
import type { ProfileFinding, Path } from '../findings/finding.js'
import type { SourceText, Span } from '../findings/source-text.js'
import { aliasFindings, MAX_ALIASES, repeatedKeys, syntaxFindings, thrownFinding, tooDeep } from './syntax.js'

const PARSE = {
  prettyErrors: false,
  uniqueKeys: false,
  merge: true,
  intAsBigInt: true,
  logLevel: 'error',
} as const

export interface ProfileDocument {
  readonly source: SourceText
  readonly document: Document
  /** Text of the nodes that did not come from the file. */
  readonly foreign: WeakMap<object, SourceText>
  /** Places of keys made by `--set`, which have no range of their own. */
  readonly keySpans: WeakMap<object, Span>
  /** Filled by `locate`, which is asked only when the document no longer changes. */
  readonly indexes: WeakMap<object, ReadonlyMap<string, Pair>>
}

/** Parses; syntax errors are findings. Never throws. */
export function readDocument(source: SourceText): {
  readonly doc?: ProfileDocument
  readonly findings: ProfileFinding[]
} {
  const deep = tooDeep(source)
  if (deep !== undefined) return { findings: [deep] }
  let document: Document
  let shape: ProfileFinding[]
  try {
    document = parseDocument(source.text, PARSE)
    shape = [...repeatedKeys(document, source), ...aliasFindings(document, source)]
  } catch (error) {
    return { findings: [thrownFinding(error, source)] }
  }
  const findings = [...syntaxFindings(document, source), ...shape]
  const foreign = new WeakMap<object, SourceText>()
  const keySpans = new WeakMap<object, Span>()
  const indexes = new WeakMap<object, ReadonlyMap<string, Pair>>()
  return { doc: { source, document, foreign, keySpans, indexes }, findings }
}

/** Parses one value for `--set`. */
export function readValue(
  source: SourceText,
  offset: number,
): { readonly node?: Node; readonly findings: ProfileFinding[] } {
  // Blanks in front keep the offsets those of the whole `--set` text.
  const padded = { file: source.file, text: ' '.repeat(offset) + source.text.slice(offset) }
  const { doc, findings } = readDocument(padded)
  const moved = findings.map((finding) => ({
    ...finding,
    ...(finding.span && { span: { ...finding.span, source } }),
  }))
  const node = doc?.document.contents
  return { ...(isNode(node) && { node }), findings: moved }
}

/** The document's value. Integers beyond 2^53 become their text, which the size parser reads exactly. */
export function toValue(doc: ProfileDocument): {
  readonly value?: unknown
  readonly findings: ProfileFinding[]
} {
  try {
    visit(doc.document, {
      Scalar(_key, node) {
        if (typeof node.value !== 'bigint') return
        const number = Number(node.value)
        node.value = Number.isSafeInteger(number) ? number : (node.source ?? node.value.toString())
      },
    })
    return { value: doc.document.toJS({ maxAliasCount: MAX_ALIASES }), findings: [] }
  } catch (error) {
    return { findings: [thrownFinding(error, doc.source)] }
  }
}

/** The place of a key or value; the nearest enclosing key when the path leads nowhere (a missing key, a merged one). */
export function locate(doc: ProfileDocument, path: Path, at: 'key' | 'value' = 'value'): Span {
  let source = doc.source
  let node: unknown = doc.document.contents
  let span: Span = { source, start: firstOffset(doc), end: firstOffset(doc) + 1 }
  if (path.length === 0 && at === 'value') return spanOf(node, source) ?? span
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(doc.document)
    const last = depth === path.length - 1
    if (isMap(node)) {
      const pair = indexOf(doc, node).get(String(step))
      if (pair === undefined) return span
      const own = isNode(pair.key) ? doc.keySpans.get(pair.key) : undefined
      span = own ?? spanOf(pair.key, source) ?? span
      node = pair.value
      source = foreignSource(doc, node) ?? source
      if (last && at === 'value') span = valueSpan(node, source) ?? span
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      source = foreignSource(doc, node) ?? source
      span = itemSpan(node, source) ?? span
    } else {
      return span
    }
  }
  return span
}

export function findPair(items: readonly Pair[], step: string | number): Pair | undefined {
  return items.find((pair) => keyOf(pair) === String(step))
}

function keyOf({ key }: Pair): string {
  return String(isScalar(key) ? key.value : key)
}

/** A mapping's pairs by key, made once: a text of a hundred thousand unknown keys has as many places to find. */
function indexOf(doc: ProfileDocument, map: YAMLMap): ReadonlyMap<string, Pair> {
  let index = doc.indexes.get(map)
  if (index === undefined) {
    index = new Map(map.items.map((pair) => [keyOf(pair), pair]))
    doc.indexes.set(map, index)
  }
  return index
}

function foreignSource(doc: ProfileDocument, node: unknown): SourceText | undefined {
  return isNode(node) ? doc.foreign.get(node) : undefined
}

function firstOffset(doc: ProfileDocument): number {
  return isNode(doc.document.contents) ? (doc.document.contents.range?.[0] ?? 0) : 0
}

function spanOf(node: unknown, source: SourceText): Span | undefined {
  const range = isNode(node) ? node.range : undefined
  return range ? { source, start: range[0], end: Math.max(range[1], range[0] + 1) } : undefined
}

/** Scalars and flow collections stand beside their key; a block collection is better pointed at by its key. */
function valueSpan(node: unknown, source: SourceText): Span | undefined {
  if (isCollection(node) && node.flow !== true) return undefined
  // An empty value has no width of its own.
  if (isScalar(node) && node.range?.[0] === node.range?.[1]) return undefined
  return spanOf(node, source)
}

/** An item has no key: its own first line is the place. */
function itemSpan(node: unknown, source: SourceText): Span | undefined {
  const span = spanOf(node, source)
  if (span === undefined || !isMap(node) || node.flow === true) return span
  return spanOf(node.items[0]?.key, source) ?? span
}
