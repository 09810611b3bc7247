export interface Column {
  readonly title: string
  /** Figures stand to the right, so that their digits line up. */
  readonly align?: 'left' | 'right'
}

/**
 * Columns in the manner of util-linux: upper-case titles, two spaces between, no borders. Lines longer than `width`
 * are cut at it, with a mark; without a width (a pipe, a file) nothing is cut.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { readonly width?: number; readonly indent?: string } = {},
): string {
  const indent = options.indent ?? ''
  const widths = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[index] ?? ''))),
  )
  const line = (cells: readonly string[]): string => {
    const text = columns.map((column, index) =>
      pad(cells[index] ?? '', widths[index] ?? 0, column.align ?? 'left'),
    )
    return cut(`${indent}${text.join('  ')}`.trimEnd(), options.width)
  }
  return [columns.map((column) => column.title), ...rows].map((row) => line(row)).join('\n')
}

/** Cut to the width of a terminal, the last character telling that something is missing. */
export function cut(text: string, width: number | undefined): string {
  if (width === undefined || textWidth(text) <= width) return text
  return `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`
}

/** Code points; enough for what ferry prints, which has no wide or combining characters of its own. */
function textWidth(text: string): number {
  return [...text].length
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - textWidth(text)))
  return align === 'right' ? space + text : text + space
}
