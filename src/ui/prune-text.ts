/** What `ferry prune` removed, or would. */
import { plural, size } from '../units.js'
import { ageText } from './sample-text.js'
import { table } from './table.js'

export interface ShownPruning {
  readonly pruned: readonly { readonly run: string; readonly ageMs: number; readonly bytes: number }[]
  readonly kept: readonly { readonly run: string; readonly why: keyof typeof WHY }[]
}
const WHY = {
  'under-way': 'a ferry drives it',
  unfinished: 'it is not finished',
  helper: 'a helper of it still has devices',
  unreachable: 'a host of it cannot be reached',
  unreadable: 'its journal cannot be read',
} as const

export function pruneText({ kept, pruned }: ShownPruning, dryRun: boolean): string {
  const bytes = pruned.reduce((sum, run) => sum + run.bytes, 0)
  const rows = [
    ...pruned.map((run) => [run.run, dryRun ? 'would go' : 'removed', ageText(run.ageMs)]),
    ...kept.map(({ run, why }) => [run, 'stays', WHY[why]]),
  ]
  const head = `${plural(pruned.length, 'run')} ${dryRun ? 'would be removed' : 'removed'}, ${size(BigInt(bytes))}`
  return rows.length === 0
    ? head
    : [head, table([{ title: 'RUN' }, { title: '' }, { title: '' }], rows)].join('\n')
}
