/** Runs, newest first, as a table. */
import { ageText } from './sample-text.js'
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
