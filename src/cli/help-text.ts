/** What the help is made of, besides the commands themselves. */

/** The commands by what a person wants, as the root help lists them. A command named in none comes under OTHER. */
export const COMMAND_GROUPS: Readonly<Record<string, readonly string[]>> = {
  'LOOK AND CHECK': ['doctor', 'devices', 'validate', 'plan'],
  MEASURE: ['pin', 'dirty-log'],
  MOVE: ['migrate'],
  FOLLOW: ['status', 'list', 'events', 'await', 'report'],
  STEER: ['cutover', 'set', 'cancel'],
  'KEEP DEVICES OPEN': ['hold', 'release'],
  RECOVER: ['recover', 'prune'],
  EXPLAIN: ['explain', 'completion'],
}

export interface Group<T> {
  readonly title: string
  readonly commands: readonly T[]
}

/** The commands in their groups, in the order of the groups; those of no group last. */
export function grouped<T extends { readonly id: string }>(commands: readonly T[]): readonly Group<T>[] {
  const known = new Set(Object.values(COMMAND_GROUPS).flat())
  const groups = Object.entries(COMMAND_GROUPS).map(([title, ids]) => ({
    title,
    commands: ids.flatMap((id) => commands.find((command) => command.id === id) ?? []),
  }))
  const other = { title: 'OTHER', commands: commands.filter(({ id }) => !known.has(id)) }
  return [...groups, other].filter((group) => group.commands.length > 0)
}

/** A text of paragraphs with an empty line between them. oclif wraps it, so the line breaks of the source file go. */
export function prose({ 0: text = '' }: TemplateStringsArray): string {
  return text
    .trim()
    .split(/\n[ \t]*\n/u)
    .map((paragraph) => paragraph.trim().replaceAll(/\s*\n\s*/gu, ' '))
    .join('\n\n')
}
