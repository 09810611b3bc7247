/** The trackers of a plan: one line a device, or (`--explain`) all that was weighed for each. */
import type { DeviceChoice, Plan } from '../plan/plan.js'
import type { Sample } from '../forecast/sample.js'
import { figuresText } from './sample-text.js'
import { table } from './table.js'
import { textWidth, wrap } from './wrap.js'

const PROCESSES = 'asked for; what processes write by CPU, which are stopped in the blackout'

/** `width`: of the terminal; absent: nothing is cut. */
export function trackerLines(plan: Plan, width: number | undefined): string | null {
  if (plan.choices.length === 0) return null
  const columns = [
    { title: 'DEVICE' },
    { title: 'TRACKER' },
    { title: 'CONTAINER' },
    { title: 'BACKEND' },
    { title: 'WHY' },
  ]
  const rows = plan.choices.map(({ backend, brief, container, device, kind }) => [
    device,
    kind ?? 'none',
    container ?? '-',
    backend,
    brief,
  ])
  const ofProcesses = plan.trackers.filter(({ kind }) => kind === 'process')
  rows.push(...ofProcesses.map(({ kind }) => ['(processes)', kind, '-', '-', PROCESSES]))
  const lines = table(columns, rows, { indent: '  ', ...(width !== undefined && { width }) })
  const title = wrap(
    '(a page that any tracker reports dirty is sent again; --explain shows every choice)',
    textWidth(width),
    'TRACKERS  ',
    '  ',
  )
  return `${title}\n${lines}`
}

/** `sample`: its figures stand with the tracker they are of. `width`: of running text. */
export function explainTrackers(plan: Plan, sample: Sample | null, width: number): string | null {
  if (plan.choices.length === 0) return null
  return [
    'TRACKERS  (pages that any of them reports are sent again)',
    ...plan.choices.map((choice) => choiceText(choice, sample, width)),
    ...plan.trackers
      .filter(({ kind }) => kind === 'process')
      .map(({ kind, reason }) => wrap(`(processes): ${kind}; ${reason}`, width, '  ', '    ')),
  ].join('\n')
}

function choiceText(choice: DeviceChoice, sample: Sample | null, width: number): string {
  const { backend, container, cost, device, kind, partition, reason, refused, tracker } = choice
  const line = (title: string, text: string): string => wrap(text, width, `      ${title.padEnd(10)} `)
  const where = container === null ? '' : ` in ${container} (${backend})`
  const lines = [wrap(`${device}: ${kind ?? 'no tracker'}${where}`, width, '  ', '    ')]
  lines.push(line('because', reason))
  for (const refusal of refused) {
    lines.push(line('not', `${refusal.kind} (${refusal.code}): ${refusal.reason}`))
  }
  if (cost !== null) lines.push(line('costs', cost.text))
  if (partition !== null) lines.push(line('container', partition))
  const figures = sample?.trackers.find((entry) => entry.tracker === tracker)
  if (figures !== undefined) lines.push(line('sampled', figuresText(figures)))
  return lines.join('\n')
}
