/** The answer to `ferry cutover`, as people read it. */
import type { CutoverAnswer } from '../run/hold-timer.js'
import { forecastText, momentText } from './status-text.js'
import { duration } from '../units.js'

export function cutoverText(answer: CutoverAnswer, atMs: number | undefined): string {
  if (answer.answer === 'scheduled') return `cutover scheduled for ${momentText(atMs ?? 0)}`
  const { expectedUs, forecast, limitUs } = answer
  const about =
    expectedUs === null
      ? ''
      : `: a blackout of about ${forecastText(expectedUs, forecast)} is expected, the limit is ${duration(limitUs)}`
  return `let go${about}`
}

/** What kept it from being let go, as the makings of an error; null when nothing did. */
export function cutoverRefused(
  run: string,
  { answer, expectedUs, forecast, limitUs }: CutoverAnswer,
): { readonly code: string; readonly message: string; readonly suggestions: readonly string[] } | null {
  const status = `\`ferry status ${run}\` shows how it stands`
  switch (answer) {
    case 'accepted':
    case 'scheduled':
      return null
    case 'refused':
      return {
        code: 'cutover/forecast',
        message:
          expectedUs === null
            ? `run ${run} stays held: no round has ended yet, so the blackout cannot be told`
            : `run ${run} stays held: a blackout of about ${forecastText(expectedUs, forecast)} is expected, and the ` +
              `limit is ${duration(limitUs)}`,
        suggestions: [
          `wait for a moment that fits: \`ferry cutover ${run} --within 10m\``,
          `or allow more: \`ferry set ${run} downtime-limit TIME\``,
        ],
      }
    case 'not-held':
      return {
        code: 'cutover/not-held',
        message: `run ${run} has not come to its hold`,
        suggestions: [`\`ferry await ${run} --condition held\` waits for it`, status],
      }
    case 'past':
      return { code: 'cutover/past', message: 'that moment has passed', suggestions: [] }
    case 'too-late':
      return {
        code: 'cutover/too-late',
        message: `run ${run} was let go or ended already`,
        suggestions: [status],
      }
    case 'replaced':
      return {
        code: 'cutover/replaced',
        message: 'another request took the place of this one',
        suggestions: [status],
      }
    case 'dropped':
      return {
        code: 'cutover/dropped',
        message: `run ${run} was cancelled or failed meanwhile`,
        suggestions: [status],
      }
  }
}
