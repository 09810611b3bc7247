/** The blackout as it can be told before anything is started, and what that rests on. */
import type { Plan } from '../plan/plan.js'
import type { PlanForecast } from '../journal/event.js'
import { estimateTerms, type EstimateTerms } from './estimate.js'
import { findSample, type Found, type Sample } from './sample.js'

/**
 * At least: the transitions that are known, and what must be sent at the bandwidth taken. Expected: what the newest
 * fitting `ferry dirty-log` says of the writes, carried on round by round; null without one.
 */
export function planForecast(plan: Plan, terms: EstimateTerms, sample: Sample | null): PlanForecast {
  const { fixedBlackoutUs, floorBytes, stateBytes } = plan.forecast
  const must = floorBytes + (stateBytes ?? 0n)
  const sendUs = terms.bandwidth > 0n ? Number((must * 1_000_000n) / terms.bandwidth) : 0
  const fits = sample !== null && sample.misfits.length === 0 ? sample.estimate : null
  return {
    atLeastUs: Math.round(fixedBlackoutUs + sendUs),
    expectedUs: fits === null ? null : Math.round(fits.blackoutUs),
    basis: {
      bandwidth: terms.bandwidth.toString(),
      assumed: terms.assumed,
      sample: fits === null ? null : (sample?.run ?? null),
    },
  }
}

/** The same for a run that is about to begin. Never fails: a run does not depend on its forecast. */
export function forecastBefore(
  plan: Plan,
  options: { readonly stateDir: string; readonly bandwidth: bigint | null; readonly downtimeLimitMs: number },
): PlanForecast {
  const terms = estimateTerms(null, options.bandwidth, options.downtimeLimitMs)
  let found: Found = { sample: null, passedOver: null }
  try {
    found = findSample({ plan, stateDir: options.stateDir, terms, nowMs: Date.now() })
  } catch {
    // An unreadable folder of journals holds no sample.
  }
  return planForecast(plan, terms, found.sample)
}
