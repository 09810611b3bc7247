/** Going on with a run that both helpers have kept since its ferry died. */
import type { EventRecord } from '../journal/event.js'
import type { Subscriber } from '../journal/event-stream.js'
import { statusOf } from '../journal/status.js'
import { isProgress, RoundThinner } from '../journal/thin.js'
import { PHASES, pin, type Phase } from '../phases/index.js'
import { StatusKeeper, type RunControl, type Served } from '../run/control.js'
import { hookHosts } from '../run/hook-hosts.js'
import type { Scheduled } from '../run/left-at.js'
import { controlOf } from '../run/operation.js'
import { Runner } from '../run/runner.js'
import { onSignals } from '../run/signals.js'
import { unpacked } from '../run/whole.js'
import type { Kept, WentOn } from './result.js'

export interface GoOnOptions {
  readonly version: string
  readonly view: (nowUs: () => number) => { readonly take: Subscriber; stop(): void }
  readonly serve: (control: RunControl) => Promise<Served>
  /** Called when both helpers are ours and the run goes on. */
  readonly onGoing: (run: string, missed: Scheduled | null) => void
}

/** Both sides are connected already. */
const CONNECTED: readonly Phase[] = PHASES.map((phase) =>
  phase === pin ? { ...pin, run: async () => undefined } : phase,
)

/** Null when a helper would not have it any more; nothing was changed then. */
export async function goOn(
  { destination, epoch, journal, left, saved, source }: Kept,
  options: GoOnOptions,
): Promise<WentOn | null> {
  const start = saved.records[0]?.body
  if (start?.type !== 'run-start' || start.whole === undefined) return null
  const { events } = journal
  const { plan, profile } = unpacked(start.whole)
  const thinner = new RoundThinner()
  const records: EventRecord[] = saved.records.filter(
    (record) => thinner.keeps(record) && !isProgress(record),
  )
  const status = new StatusKeeper(statusOf(saved.records))
  events.subscribe((record) => {
    if (thinner.keeps(record) && !isProgress(record)) records.push(record)
  })
  events.subscribe(status.take)
  // Those trackers that were started are not started again.
  let tracking = 0
  const steps = plan.steps.filter(({ phase }) => phase !== 'dirty-log' || ++tracking > left.tracking)
  const { run } = start
  const runner = new Runner({
    ...{ run, profile, source, destination, events, left },
    plan: { ...plan, steps },
    command: 'migrate',
    phases: CONNECTED,
    version: options.version,
    journalError: journal.error,
    hostOf: hookHosts(profile),
  })
  let missed: Scheduled | null
  try {
    missed = await runner.takeUp(epoch)
  } catch {
    return null
  }
  const restore = onSignals(
    () => runner.cancel(),
    () => runner.detach(),
  )
  let served: Served | undefined
  try {
    served = await options.serve(controlOf(run, runner, events, records, status))
  } catch {
    // It goes on all the same, and cannot be asked.
  }
  options.onGoing(run, missed)
  const view = options.view(() => events.nowUs())
  events.subscribe(view.take)
  try {
    const result = await runner.toItsEnd()
    return { ...result, records, missed }
  } finally {
    view.stop()
    restore()
    await served?.close()
  }
}
