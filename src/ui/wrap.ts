import type { Reason } from '../inventory/inventory.js'

/** Width of text when the terminal's is unknown: what a page of prose likes, and most terminals have. */
export const TEXT_WIDTH = 100

/** The width for running text on a terminal of `columns`: never so wide that lines are hard to follow. */
export function textWidth(columns: number | undefined): number {
  return Math.min(120, Math.max(40, columns ?? TEXT_WIDTH))
}

/**
 * Breaks `text` at spaces to lines of at most `width`, the first after `first`, the others after `rest`. A word
 * longer than a line (a path, a UUID) stands alone and whole, so that it can be copied; a figure keeps its unit.
 */
export function wrap(text: string, width: number, first = '', rest = ' '.repeat(first.length)): string {
  const lines: string[] = []
  let line = first
  let empty = true
  for (const word of words(text)) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line)
      line = rest
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  return [...lines, line.trimEnd()].join('\n')
}

function words(text: string): string[] {
  const parts = text.split(/\s+/).filter((part) => part !== '')
  return parts.reduce<string[]>((done, part) => {
    const last = done.at(-1)
    const isUnit = /^(?:[KMGTPE]?i?B|us|µs|ms|s|min)(?:\/s)?[.,:;)]*$/.test(part)
    if (last !== undefined && isUnit && /^[(]?\d[\d.]*$/.test(last))
      return [...done.slice(0, -1), `${last} ${part}`]
    return [...done, part]
  }, [])
}

/** One cause as people read it: its code, whom it concerns, what was found, and what would lift it. */
export function reasonText(reason: Reason, width: number, indent: string, who = ''): string {
  const found = `[${reason.code}] ${who === '' ? '' : `${who}: `}${reason.found}`
  const lines = [wrap(found, width, `${indent}- `)]
  if (reason.remedy !== '') lines.push(wrap(reason.remedy, width, `${indent}  -> `))
  return lines.join('\n')
}
