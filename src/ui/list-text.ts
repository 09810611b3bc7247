/** Runs, newest first, as a table; and what was removed of old ones. */
import { ageText } from './sample-text.js'
import { plural, size } from '../units.js'
import type { RunState } from './status-text.js'
import { table } from './table.js'
import { phaseText } from './words.js'

export interface ListedRun {
  readonly run: string
  readonly command: string
  readonly workload: string
  readonly state: RunState
  readonly outcome: string | null
  readonly unfinished: string | null
  readonly phase: string | null
  readonly held: string | null
  readonly startedAt: string
  readonly ageMs: number
}

export function listText(runs: readonly ListedRun[], width?: number): string {
  const columns = [
    { title: '' },
    { title: 'RUN' },
    { title: 'WORKLOAD' },
    { title: 'COMMAND' },
    { title: 'STATE' },
    { title: 'PHASE' },
    { title: 'AGE', align: 'right' },
  ] as const
  const rows = runs.map(({ ageMs, command, held, outcome, phase, run, state, unfinished, workload }) => [
    state === 'running' || state === 'held' ? '*' : '',
    run,
    workload,
    command,
    state === 'ended' ? `${outcome ?? state}${unfinished === 'owed' ? ' (owed)' : ''}` : state,
    held ?? (phase === null ? '-' : phaseText(phase)),
    ageText(ageMs),
  ])
  return table(columns, rows, width === undefined ? {} : { width })
}

/** What `ferry prune` removed, or would. */
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
