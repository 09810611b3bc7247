/** Every record of the journal of a run that moves a workload from a holder to a holder, from start to release. */
import type { EventRecord } from '../../src/journal/event.js'

/** `faults.test.ts` fails when a run has another record. */
export const STEPS = [
  'run-start',
  'pin begins',
  'source claim',
  'source claim answered',
  'destination claim',
  'destination claim answered',
  'source memory',
  'source memory answered',
  'source container',
  'source container answered',
  'source device',
  'source device answered',
  'source map',
  'source map answered',
  'destination memory',
  'destination memory answered',
  'destination container',
  'destination container answered',
  'destination device',
  'destination device answered',
  'destination map',
  'destination map answered',
  'source route',
  'source route answered',
  'destination listen',
  'destination listen answered',
  'destination receive',
  'source connect',
  'source connect answered',
  'pin ends',
  'dirty-log begins',
  'source track',
  'source track answered',
  'dirty-log ends',
  'pre-copy begins',
  'source precopy',
  'destination device-state RESUMING',
  'source device-state PRE_COPY',
  'source round-start',
  'source device-precopy',
  'source round-end',
  'source precopy answered',
  'pre-copy ends',
  'cutover begins',
  'source cutover',
  'source cutover quiesce begins',
  'source device-state PRE_COPY_P2P',
  'source device-state STOP_COPY',
  'source cutover quiesce ends',
  'source cutover last-pages begins',
  'source cutover last-pages ends',
  'source cutover state begins',
  'source cutover state ends',
  'source cutover load begins',
  'destination cutover load begins',
  'destination device-state STOP',
  'destination cutover load ends',
  'source cutover load ends',
  'source cutover verify begins',
  'destination cutover verify begins',
  'destination cutover verify ends',
  'source cutover verify ends',
  'source cutover commit begins',
  'source cutover commit ends',
  'source cutover resume begins',
  'destination cutover resume begins',
  'destination device-state RUNNING_P2P',
  'destination device-state RUNNING',
  'destination cutover resume ends',
  'source cutover resume ends',
  'destination receive answered',
  'source cutover answered',
  'cutover ends',
  'commit begins',
  'destination check',
  'destination check answered',
  'source status',
  'source status answered',
  'destination status',
  'destination status answered',
  'destination stay',
  'destination stay answered',
  'source release',
  'source release answered',
  'commit ends',
  'run-end',
] as const
export type Step = (typeof STEPS)[number]

/** A record in the words of the table. `at-record.mjs` has the same in JavaScript, for a process that has no tsx. */
export function keysOf(records: readonly EventRecord[]): string[] {
  const steps = new Map<number, string>()
  return records.map(({ body }) => {
    switch (body.type) {
      case 'intent': {
        const key = `${body.side} ${body.op}`
        steps.set(body.step, key)
        return key
      }
      case 'outcome':
        return `${steps.get(body.step) ?? '?'} answered`
      case 'helper': {
        const { done, event, step, to } = body.event as unknown as Record<
          string,
          string | boolean | undefined
        >
        const more = [step, to, done === true ? 'ends' : done === false ? 'begins' : undefined]
        return [body.side, event, ...more].filter((word) => word !== undefined).join(' ')
      }
      case 'phase-start':
        return `${body.phase} begins`
      case 'phase-end':
        return `${body.phase} ends`
      default:
        return body.type
    }
  })
}
