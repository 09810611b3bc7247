/** Explanations as a terminal and as docs/codes.md show them. */
import type { Family } from './code.js'
import type { Explained } from './catalogue.js'

export function explanationText(of: Explained): string {
  const name = of.family === 'exit' ? `exit code ${of.code}` : of.code
  return [
    `${name}: ${of.meaning}`,
    '',
    `  Cause:       ${of.cause}`,
    `  What to do:  ${of.remedy}`,
    `  Comes up in: ${of.where}`,
  ].join('\n')
}

/** Every code under the title of its family, with its meaning. */
export function listText(families: readonly Family[]): string {
  return families
    .map(({ codes, title }) => {
      const width = Math.max(...Object.keys(codes).map((code) => code.length))
      const lines = Object.entries(codes).map(([code, { meaning }]) => `  ${code.padEnd(width)}  ${meaning}`)
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
