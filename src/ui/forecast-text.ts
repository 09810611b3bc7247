/** The blackout as it was forecast beside what it was. */
import type { Forecasts } from '../report/forecasts.js'
import type { PlanForecast } from '../journal/event.js'
import { forecastText } from './status-text.js'
import { table } from './table.js'
import { duration, rate } from '../units.js'

export function forecastsText(
  forecasts: Forecasts | null,
  options: { readonly width?: number },
): string | null {
  if (forecasts === null) return null
  const { cutover, happenedUs, lastRound, plan } = forecasts
  const rows: string[][] = []
  if (plan !== null) {
    const expected = plan.expectedUs
    const text = expected === null ? `at least ${duration(plan.atLeastUs)}` : `about ${duration(expected)}`
    rows.push(['plan', text, off(expected, happenedUs), basisText(plan)])
  }
  if (lastRound !== null) {
    const { expectedUs, range, round } = lastRound
    rows.push([`round ${round}`, forecastText(expectedUs, range), off(expectedUs, happenedUs), ''])
  }
  if (cutover !== null) {
    rows.push([
      'cutover',
      forecastText(cutover.expectedUs, cutover),
      off(cutover.expectedUs, happenedUs),
      happenedUs === null ? '' : rangeText(cutover, happenedUs),
    ])
  }
  if (happenedUs !== null) rows.push(['happened', duration(happenedUs), '', ''])
  const columns = [
    { title: 'FORECAST' },
    { title: 'BLACKOUT' },
    { title: 'ERROR' },
    { title: 'BASIS' },
  ] as const
  return table(columns, rows, options)
}

/** What happened, less what was forecast. */
function off(expectedUs: number | null, happenedUs: number | null): string {
  if (expectedUs === null || happenedUs === null) return '-'
  const difference = happenedUs - expectedUs
  return `${difference < 0 ? '-' : '+'}${duration(Math.abs(difference))}`
}

function rangeText(
  { highUs, lowUs }: { readonly lowUs: number; readonly highUs: number },
  us: number,
): string {
  if (us < lowUs) return 'below its range'
  return us > highUs ? 'above its range' : 'within its range'
}

export function basisText({ basis }: PlanForecast): string {
  const speed = `${rate(BigInt(basis.bandwidth))}${basis.assumed ? ' assumed' : ' by the profile'}`
  return basis.sample === null ? `${speed}, no dirty-log` : `${speed}, dirty-log ${basis.sample}`
}
