/** src/error-code.ts: every code as one type, so that a misspelt one does not compile. */
import { FAMILIES } from '../src/codes/catalogue.js'

export function codeUnion(): string {
  const codes = FAMILIES.flatMap(({ codes: table }) => Object.keys(table))
    .filter((code) => code.includes('/'))
    .sort()
  return `/**
 * Every code that an error of Ferry can have, its helper's included. Written by \`npm run docs\` from the tables in
 * src/codes, which explain each one.
 */
export type ErrorCode =
${[...new Set(codes)].map((code) => `  | '${code}'`).join('\n')}
`
}
