/**
 * `--set key.path=value`: lays one value over the profile before anything is checked. A step is a key, an index, or
 * in a list the `name` of an item: `--set devices.vgpu.tracker=all`. The value is read as YAML.
 */
import { isAlias, isMap, isScalar, isSeq, Scalar, visit } from 'yaml'
import type { Document, Node, Pair, YAMLMap, YAMLSeq } from 'yaml'
import { didYouMean } from '../../did-you-mean.js'
import { findPair, readValue, type ProfileDocument } from './document.js'
import type { ProfileFinding } from '../findings/finding.js'
import type { SourceText, Span } from '../findings/source-text.js'

/** Applies them in order; those that cannot be applied are findings. */
export function applyOverrides(doc: ProfileDocument, sets: readonly string[]): ProfileFinding[] {
  return sets.flatMap((text, index) => applyOne(doc, { file: '--set', text, order: index + 1 }))
}

interface Step {
  readonly key: string
  readonly span: Span
}

function applyOne(doc: ProfileDocument, source: SourceText): ProfileFinding[] {
  const equals = source.text.indexOf('=')
  const whole = { source, start: 0, end: Math.max(1, source.text.length) }
  const steps = equals === -1 ? [] : stepsOf(source, equals)
  if (steps.length === 0 || steps.some(({ key }) => key === '')) {
    return [finding(whole, 'this is not key.path=value', 'e.g. --set migration.downtimeLimit=500ms')]
  }
  const { node, findings } = readValue(source, equals + 1)
  if (findings.length > 0) return findings
  const value = node ?? new Scalar(null)
  doc.foreign.set(value, source)
  return put(doc, steps, value)
}

function stepsOf(source: SourceText, end: number): Step[] {
  const steps: Step[] = []
  let start = 0
  for (const key of source.text.slice(0, end).split('.')) {
    steps.push({ key, span: { source, start, end: Math.max(start + key.length, start + 1) } })
    start += key.length + 1
  }
  return steps
}

/** Walks to the last step, making mappings that are not there, and puts the value. */
function put(doc: ProfileDocument, steps: readonly Step[], value: Node): ProfileFinding[] {
  const { document } = doc
  if (!isMap(document.contents)) return []
  let node: YAMLMap | YAMLSeq = document.contents
  for (const [depth, { key, span }] of steps.entries()) {
    const last = depth === steps.length - 1
    let child: unknown
    let assign: (next: Node) => void
    if (isMap(node)) {
      const map: YAMLMap = node
      const pair = findPair(map.items as Pair[], key)
      child = pair?.value
      assign = (next) => {
        const name = new Scalar(key)
        doc.keySpans.set(name, span)
        if (pair === undefined) map.add(document.createPair(name, next))
        else {
          pair.key = name
          pair.value = next
        }
      }
    } else {
      const seq: YAMLSeq = node
      const index = itemIndex(seq, key)
      if (index === undefined) return [noItem(seq, key, span)]
      child = seq.items[index]
      assign = (next) => {
        seq.items[index] = next
      }
    }
    if (last) {
      assign(value)
      return []
    }
    if (isAlias(child)) {
      const copy = copyOf(child.resolve(document))
      if (copy !== undefined) assign(copy)
      child = copy
    } else if ((isMap(child) || isSeq(child)) && child.anchor !== undefined) {
      detachAliases(document, child)
    }
    if (child === undefined || child === null || (isScalar(child) && child.value === null)) {
      child = document.createNode({})
      assign(child as Node)
    }
    if (!isMap(child) && !isSeq(child)) {
      return [finding(span, `\`${key}\` is a single value; there is nothing below it`, 'set it as a whole')]
    }
    node = child
  }
  return []
}

/** A change below an anchor is a change of that one place: what else the anchor serves gets a copy first. */
function detachAliases(document: Document, anchored: YAMLMap | YAMLSeq): void {
  visit(document, {
    Alias(_key, alias) {
      return alias.resolve(document) === anchored ? copyOf(anchored) : undefined
    },
  })
}

/** Without anchors, so that no alias further down comes to mean the copy. */
function copyOf(node: Node | undefined): Node | undefined {
  const copy = node?.clone() as Node | undefined
  if (copy !== undefined) {
    visit(copy, {
      Node(_key, inner) {
        if ('anchor' in inner) delete inner.anchor
      },
    })
  }
  return copy
}

function itemIndex(seq: YAMLSeq, key: string): number | undefined {
  if (/^\d+$/u.test(key)) return Number(key) < seq.items.length ? Number(key) : undefined
  const index = names(seq).indexOf(key)
  return index === -1 ? undefined : index
}

function names(seq: YAMLSeq): (string | undefined)[] {
  return seq.items.map((item) => {
    const name = isMap(item) ? item.get('name') : undefined
    return typeof name === 'string' ? name : undefined
  })
}

function noItem(seq: YAMLSeq, key: string, span: Span): ProfileFinding {
  const known = names(seq).filter((name) => name !== undefined)
  const near = didYouMean(key, known)
  const help = near === undefined ? `there are: ${known.join(', ')}` : `did you mean \`${near}\`?`
  return finding(span, `there is no item \`${key}\` in this list of ${seq.items.length}`, help)
}

function finding(span: Span, message: string, help: string): ProfileFinding {
  return { code: 'profile/override', path: [], span, found: message, remedy: help }
}
