/** What the journal of an interrupted run tells those who take it up again. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Outcome, SideAddresses } from '../journal/event.js'
import type { SavedJournal } from '../journal/read.js'
import type { ClaimParams, Role } from '../protocol/protocol.js'
import { isLost } from '../link/link-error.js'

/** What the journal knows of the destination's devices being held, handed on or closed as the profile says. */
export type Settling = 'done' | 'holding' | 'handing' | 'no'

/** Ends after which both sides are where they belong, and Ferry has checked it. */
const SETTLED: ReadonlySet<Outcome> = new Set([
  'done',
  'not-started',
  'cancelled',
  'rolled-back',
  'downtime-limit',
])

/** Where a side's helper locked its devices; null: it was not asked to, or the line is damaged. */
export function locksOf(
  { records }: Pick<SavedJournal, 'records'>,
  side: Role,
): Pick<ClaimParams, 'lockDir' | 'devices'> | null {
  for (const { body } of records) {
    if (body.type !== 'intent' || body.side !== side || body.op !== 'claim') continue
    const { devices, lockDir } = body.params as Partial<ClaimParams>
    if (typeof lockDir === 'string' && Array.isArray(devices)) return { lockDir, devices }
  }
  const start = records[0]?.body
  return (start?.type === 'run-start' && start.seats?.[side].locks) || null
}

/** How the run ended, when nothing is left to recover. */
export function endedFor({ records }: Pick<SavedJournal, 'records'>): Outcome | null {
  const end = records.findLast(({ body }) => body.type === 'run-end')?.body
  return end?.type === 'run-end' && SETTLED.has(end.outcome) ? end.outcome : null
}

/** How a run had ended that a person gave up since; null: it is not given up. */
export function givenUpAs({ records }: Pick<SavedJournal, 'records'>): Outcome | null {
  const end = records.findLast(({ body }) => body.type === 'run-end')?.body
  return end?.type === 'run-end' && end.givenUp === true ? end.outcome : null
}

export function startOf(saved: SavedJournal): { readonly run: string; readonly addresses: SideAddresses } {
  const start = saved.records[0]?.body
  if (start?.type !== 'run-start' || start.seats === undefined) {
    throw new FerryError({
      code: 'recover/nothing',
      exit: EXIT.usage,
      message: `${saved.path} is not the journal of a migration that can be recovered`,
      suggestions: ['only `ferry migrate` leaves two sides behind'],
    })
  }
  return { run: start.run, addresses: start.seats }
}

/** Higher than every epoch that a recovery of the run may have used, the ones on damaged lines included. */
export function nextEpoch({ damaged, records }: Pick<SavedJournal, 'damaged' | 'records'>): number {
  const used = records.map(({ body }) => (body.type === 'recover-start' ? body.epoch : 0))
  return 1 + damaged + used.reduce((most, epoch) => Math.max(most, epoch), 1)
}

/** `holding`, `handing`: the last request to hold, or to start the command, got no answer of the helper's own. */
export function howSettled(saved: Pick<SavedJournal, 'records'> & Partial<SavedJournal>): Settling {
  const asked = new Set<number>()
  let open = null as { readonly step: number; readonly how: Settling } | null
  // Before a commit, and after a discard, a release gives the run up.
  let settling = false
  for (const { body } of saved.records) {
    if (
      (body.type === 'recover-start' && body.goesOn !== true) ||
      (body.type === 'phase-start' && body.phase === 'commit')
    )
      settling = true
    if (body.type === 'outcome' && body.ok && asked.has(body.step)) return 'done'
    if (body.type === 'outcome' && !body.ok && body.step === open?.step) {
      if (body.error === undefined || !isLost(body.error)) open = null
    }
    if (body.type !== 'intent' || body.side !== 'destination') continue
    if (body.op === 'rollback' || body.op === 'record') settling = false
    if (settling && ['stay', 'exec', 'release'].includes(body.op)) asked.add(body.step)
    if (settling && body.op === 'exec') open = { step: body.step, how: 'handing' }
    if (settling && body.op === 'stay') open = { step: body.step, how: 'holding' }
  }
  return open?.how ?? (mayHaveHanded(saved) ? 'handing' : 'no')
}

/** The request to start the command may stand on a line that is damaged. */
function mayHaveHanded({
  damaged = 0,
  records,
}: Pick<SavedJournal, 'records'> & Partial<SavedJournal>): boolean {
  const start = records[0]?.body
  return damaged > 0 && start?.type === 'run-start' && start.seats?.then.kind === 'exec'
}
