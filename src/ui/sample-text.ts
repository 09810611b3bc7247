/** A dirty-log sample beside a plan: what was measured, when, whether it fits, and what it means for convergence. */
import type { Figures } from '../forecast/figures.js'
import type { Found, Misfit, Sample, SampleTracker } from '../forecast/sample.js'
import { estimateText } from './dirty-text.js'
import { table } from './table.js'
import { count, duration, plural, rate, size } from '../units.js'
import { textWidth, wrap } from './wrap.js'

/** `width`: of the terminal; absent: the table is not cut. */
export function sampleText({ passedOver, sample }: Found, columns: number | undefined): string {
  const width = textWidth(columns)
  if (sample === null) {
    const none =
      passedOver === null
        ? 'none: `ferry dirty-log` with this profile measures what each tracker reports in a round'
        : `none that matches: ${passedOver.run} has ${misfitsText(passedOver.misfits)} (--sample uses it anyway)`
    return `SAMPLE\n${wrap(none, width, '  ')}`
  }
  const { ageMs, misfits, rounds, run, spanUs } = sample
  const lines = [
    'SAMPLE',
    wrap(
      `dirty-log ${run}, ${ageText(ageMs)} ago: ${plural(rounds, 'round')} in ${duration(spanUs)}`,
      width,
      '  ',
    ),
  ]
  if (misfits.length > 0) {
    lines.push(wrap(`it does not match this plan: ${misfitsText(misfits)}`, width, '  ! '))
  }
  lines.push(figuresTable(sample, columns))
  if (sample.estimate !== null) {
    lines.push(
      ...estimateText(sample.estimate, sample.estimate)
        .split('\n')
        .map((line) => wrapped(line, width)),
    )
  }
  return lines.join('\n')
}

function wrapped(line: string, width: number): string {
  const indent = `  ${/^ */u.exec(line)?.[0] ?? ''}`
  return wrap(line, width, indent, `${indent}  `)
}

function misfitsText(misfits: readonly Misfit[]): string {
  return misfits.map(({ text }) => text).join('; ')
}

function figuresTable({ trackers, union }: Sample, width: number | undefined): string {
  const right = (title: string) => ({ title, align: 'right' as const })
  const columns = [
    { title: 'TRACKER' },
    right('UNIT'),
    right('MIN'),
    right('MEDIAN'),
    right('MAX'),
    right('UNIQUE'),
    right('RATE'),
    right('OF MEMORY'),
  ]
  const row = (name: string, unit: string, figures: Figures): string[] => [
    name,
    unit,
    count(figures.pages.min),
    count(figures.pages.median),
    count(figures.pages.max),
    figures.onlyPages === null ? '-' : count(figures.onlyPages),
    rateText(figures),
    shareText(figures.share),
  ]
  const rows = trackers.map((entry) => row(entry.tracker, unitText(entry), entry))
  if (trackers.length > 1) rows.push(row('union', '-', union))
  return table(columns, rows, { indent: '  ', ...(width !== undefined && { width }) })
}

/** One tracker's figures as a sentence. */
export function figuresText(tracker: SampleTracker): string {
  const { max, median, min } = tracker.pages
  const unit = tracker.unitBytes === null ? '' : `, one bit for ${unitText(tracker)}`
  const only =
    tracker.onlyPages === null ? '' : `, ${count(tracker.onlyPages)} of them reported by no other tracker`
  return (
    `${count(min)} / ${count(median)} / ${count(max)} pages a round (min / median / max)${only}; ` +
    `${tracker.bytesPerSecond === null ? 'the same at every read, so no rate' : `${rateText(tracker)} of distinct pages`}; ` +
    `${shareText(tracker.share)} of the memory${unit}`
  )
}

function unitText({ unitBytes }: SampleTracker): string {
  return unitBytes === null ? '?' : size(BigInt(unitBytes))
}

function rateText({ atMost, bytesPerSecond }: Figures): string {
  return bytesPerSecond === null ? 'every read' : `${atMost ? '<= ' : ''}${rate(bytesPerSecond)}`
}

/** "0.4 %"; something is never shown as nothing. */
function shareText(share: number): string {
  const percents = share * 100
  if (percents > 0 && percents < 0.1) return '< 0.1 %'
  return `${percents >= 10 ? percents.toFixed(0) : percents.toFixed(1)} %`
}

export function ageText(ms: number): string {
  const days = Math.floor(ms / 86_400_000)
  return days >= 2 ? `${days} days` : duration(ms * 1000)
}
