/** What `ferry explain` and docs/codes.md say of one code, in plain words. */
export interface Explanation {
  readonly meaning: string
  /** What usually leads to it. */
  readonly cause: string
  /** What to do about it. */
  readonly remedy: string
}

/** An explanation whose meaning another table holds already. */
export type Advice = Omit<Explanation, 'meaning'>

export type Codes = Readonly<Record<string, Explanation>>

export interface Family {
  readonly name: string
  readonly title: string
  /** Where a person meets these codes. */
  readonly where: string
  readonly codes: Codes
}

/** Other tables keep their meanings as the ends of sentences: "not a size". */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** Joins the meanings of one table with the advice of another; the types see that both have the same codes. */
export function withMeanings<C extends string>(
  meanings: Readonly<Record<C, string>>,
  advice: Readonly<Record<C, Advice>>,
): Codes {
  return Object.fromEntries(
    Object.entries<Advice>(advice).map(([code, { cause, remedy }]) => [
      code,
      { meaning: sentence(meanings[code as C]), cause, remedy },
    ]),
  )
}

/** Of tables whose meaning is called `summary`. */
export function summaries<C extends string>(
  table: Readonly<Record<C, { readonly summary: string }>>,
): Readonly<Record<C, string>> {
  const entries = Object.entries<{ readonly summary: string }>(table)
  return Object.fromEntries(entries.map(([code, { summary }]) => [code, summary])) as Record<C, string>
}
