/** A text a profile was read from, and places in it. */
export interface SourceText {
  /** As shown: a path, "<stdin>", "--set". */
  readonly file: string
  readonly text: string
  /** Rank among several texts; the file's is 0. */
  readonly order?: number
}

/** Half-open range of UTF-16 offsets, as yaml counts them. */
export interface Span {
  readonly source: SourceText
  readonly start: number
  readonly end: number
}

export interface LinePosition {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units as editors count. */
  readonly column: number
  /** Offsets of the line in the text, without its line break. */
  readonly lineStart: number
  readonly lineEnd: number
}

const starts = new WeakMap<SourceText, number[]>()

export function positionOf(source: SourceText, offset: number): LinePosition {
  const lines = lineStarts(source)
  let low = 0
  let high = lines.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((lines[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  const lineStart = lines[low] ?? 0
  const next = lines[low + 1]
  let lineEnd = next === undefined ? source.text.length : next - 1
  if (source.text[lineEnd - 1] === '\r') lineEnd--
  return { line: low + 1, column: Math.max(0, offset - lineStart) + 1, lineStart, lineEnd }
}

function lineStarts(source: SourceText): number[] {
  let lines = starts.get(source)
  if (lines === undefined) {
    lines = [0]
    for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1))
      lines.push(at + 1)
    starts.set(source, lines)
  }
  return lines
}
