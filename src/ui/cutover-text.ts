/** The answer to `ferry cutover`, as people read it. */
import type { ErrorCode } from '../error-code.js'
import type { CutoverAnswer } from '../run/hold-timer.js'
import type { Scheduled } from '../run/left-at.js'
import { forecastText, momentText } from './status-text.js'
import { duration } from '../units.js'

export function cutoverText(answer: CutoverAnswer, atMs: number | undefined): string {
  if (answer.answer === 'scheduled') return `cutover scheduled for ${momentText(atMs ?? 0)}`
  const { expectedUs, forecast, limitUs } = answer
  const about =
    expectedUs === null
      ? ''
      : `: a blackout of about ${forecastText(expectedUs, forecast)} is expected, the limit is ${duration(limitUs)}`
  return `continued with its cutover${about}`
}

/** A cutover that was asked for a time at which no ferry drove the run, and how it is made all the same. */
export function missedText(run: string, { atMs, untilMs }: Scheduled, nowMs: number): string {
  const left = untilMs === null ? 0 : Math.floor((untilMs - nowMs) / 1000)
  const within = left > 0 ? ` --within ${left}s` : ''
  const window =
    left > 0
      ? `; its window is open until ${momentText(untilMs ?? 0)}`
      : untilMs === null
        ? ''
        : ', and so has its window'
  return (
    `the cutover of run ${run} was asked for ${momentText(atMs)}, which passed while no ferry drove the run${window}. It is ` +
    `not made up for, and the hold holds: \`ferry cutover ${run}${within}\` continues the run, and takes another time with --at`
  )
}

/** Why the run was not continued, as the parts of an error; null when it was. */
export function cutoverRefused(
  run: string,
  { answer, expectedUs, forecast, limitUs }: CutoverAnswer,
): { readonly code: ErrorCode; readonly message: string; readonly suggestions: readonly string[] } | null {
  const status = `\`ferry status ${run}\` shows its state`
  switch (answer) {
    case 'accepted':
    case 'scheduled':
      return null
    case 'refused':
      return {
        code: 'cutover/forecast',
        message:
          expectedUs === null
            ? `run ${run} stays held: no round has ended yet, so the blackout cannot be forecast`
            : `run ${run} stays held: a blackout of about ${forecastText(expectedUs, forecast)} is expected, and the ` +
              `limit is ${duration(limitUs)}`,
        suggestions: [
          `wait until the forecast fits: \`ferry cutover ${run} --within 10m\``,
          `or raise the limit: \`ferry set ${run} downtime-limit TIME\``,
        ],
      }
    case 'not-held':
      return {
        code: 'cutover/not-held',
        message: `run ${run} is not held yet`,
        suggestions: [`\`ferry await ${run} --condition held\` waits for it`, status],
      }
    case 'past':
      return { code: 'cutover/past', message: 'that time has passed', suggestions: [] }
    case 'too-late':
      return {
        code: 'cutover/too-late',
        message: `run ${run} was continued already, or has ended`,
        suggestions: [status],
      }
    case 'replaced':
      return {
        code: 'cutover/replaced',
        message: 'another request replaced this one',
        suggestions: [status],
      }
    case 'dropped':
      return {
        code: 'cutover/dropped',
        message: `run ${run} was cancelled or failed in the meantime`,
        suggestions: [status],
      }
  }
}
