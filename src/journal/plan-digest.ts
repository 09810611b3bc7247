import type { DevicePair, Plan, PlanContainer, PlanTracker } from '../plan/plan.js'

/** What the journal keeps of a plan: the choices and the forecast. Steps follow as intents; inventories are large. */
export interface PlanDigest {
  readonly pageSize: number
  readonly pairs: readonly DevicePair[]
  readonly containers: readonly PlanContainer[]
  readonly trackers: readonly PlanTracker[]
  readonly forecast: Plan['forecast']
  readonly warnings: Plan['warnings']
}

export function planDigest(plan: Plan): PlanDigest {
  const { containers, forecast, pageSize, pairs, trackers, warnings } = plan
  return { pageSize, pairs, containers, trackers, forecast, warnings }
}
