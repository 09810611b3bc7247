/** Explanations as a terminal and as docs/codes.md show them. */
import type { Family } from './code.js'
import type { Explained } from './catalogue.js'

/** How wide lines are, and how to break one: `wrap` of src/ui/wrap.ts. */
export interface Lines {
  readonly width: number
  readonly wrap: (text: string, width: number, first: string, rest?: string) => string
}

export function explanationText(of: Explained, { width, wrap }: Lines): string {
  const name = of.family === 'exit' ? `exit code ${of.code}` : of.code
  return [
    wrap(`${name}: ${of.meaning}`, width, '', '  '),
    '',
    wrap(of.cause, width, '  Cause:       '),
    wrap(of.remedy, width, '  What to do:  '),
    wrap(of.where, width, '  Comes up in: '),
  ].join('\n')
}

/** Every code under the title of its family, with its meaning. */
export function listText(families: readonly Family[], { width: columns, wrap }: Lines): string {
  return families
    .map(({ codes, title }) => {
      const width = Math.max(...Object.keys(codes).map((code) => code.length))
      const lines = Object.entries(codes).map(([code, { meaning }]) =>
        wrap(meaning, columns, `  ${code.padEnd(width)}  `),
      )
      return [title, ...lines].join('\n')
    })
    .join('\n\n')
}

/** The whole of docs/codes.md. */
export function codesPage(families: readonly Family[]): string {
  const parts = families.map(({ codes, title, where }) =>
    [
      `## ${title}`,
      '',
      `Where: ${where}.`,
      '',
      '| Code | What it means | What usually causes it | What to do |',
      '| --- | --- | --- | --- |',
      ...Object.entries(codes).map(
        ([code, { cause, meaning, remedy }]) =>
          `| ${[`\`${code}\``, ...[meaning, cause, remedy].map(cell)].join(' | ')} |`,
      ),
    ].join('\n'),
  )
  return `${[HEAD, ...parts].join('\n\n')}\n`
}

const HEAD = `# Codes

<!-- Written by \`npm run docs\` from src/codes/. Do not edit by hand. -->

Every error, blocker and warning of Ferry carries a stable code, and every command ends with one of ten exit codes.
A script may branch on both; the wording of messages may change.

\`ferry explain CODE\` prints the same as this page for one code. With \`--json\`, the code is in \`error.code\`,
and those of blockers and reasons are in \`error.reasons\`.`

/** A table's cell: \`|\` would end it, and \`<\` begin a tag. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
