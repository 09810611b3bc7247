/** What the live and the plain view know of a run at this moment: its status, and what only they show. */
import type { EventRecord } from '../journal/event.js'
import { BLANK, withRecord, type RunStatus } from '../journal/status.js'

export interface ViewState {
  readonly status: RunStatus
  readonly phaseSinceUs: number
  /** What is being done now, in the plan's words. */
  readonly doing: ReadonlyMap<number, string>
  /** Dirty at the end of each of the last rounds. */
  readonly dirty: readonly bigint[]
  readonly cutoverStep: string | null
}

/** As many as fit a line. */
const ROUNDS_SHOWN = 40

export const EMPTY_VIEW: ViewState = {
  status: BLANK,
  phaseSinceUs: 0,
  doing: new Map(),
  dirty: [],
  cutoverStep: null,
}

/** The state after one more event. */
export function advance(before: ViewState, record: EventRecord): ViewState {
  const state = { ...before, status: withRecord(before.status, record) }
  const { body } = record
  switch (body.type) {
    case 'phase-start':
      return { ...state, phaseSinceUs: record.atUs }
    case 'intent':
      return { ...state, doing: new Map(state.doing).set(body.step, body.text) }
    case 'outcome': {
      const doing = new Map(state.doing)
      doing.delete(body.step)
      return { ...state, doing }
    }
    case 'helper': {
      const { event } = body
      if (event.event === 'cutover') return { ...state, cutoverStep: event.step }
      if (event.event !== 'round-end') return state
      return { ...state, dirty: [...state.dirty, BigInt(event.dirtyBytes)].slice(-ROUNDS_SHOWN) }
    }
    default:
      return state
  }
}
