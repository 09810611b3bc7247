/** How a run stands, as people read it. */
import type { BlackoutForecast } from '../protocol/protocol.js'
import type { RunStatus } from '../journal/status.js'
import { table } from './table.js'
import { duration, percent, plural, rate, size } from '../units.js'
import { phaseText } from './words.js'

/** live: a ferry drives it. died: its ferry is gone and it has no end. */
export type RunState = 'running' | 'held' | 'ended' | 'died'

export function stateOf(status: RunStatus, live: boolean): RunState {
  if (status.ended !== null) return 'ended'
  if (!live) return 'died'
  return status.held === null ? 'running' : 'held'
}

/** "4.10 ms (3.20 ms to 6.00 ms)". */
export function forecastText(expectedUs: number, range: BlackoutForecast | null): string {
  if (range === null) return duration(expectedUs)
  return `${duration(expectedUs)} (${duration(range.lowUs)} to ${duration(range.highUs)})`
}

export function statusText(
  status: RunStatus,
  options: {
    readonly live: boolean
    /** A process that drives it and cannot be asked; what is shown is from its journal. */
    readonly driver?: number | null
    readonly nowMs: number
    readonly width?: number
  },
): string {
  const { forecast, limits, round } = status
  const lines = [`${status.command} ${status.workload}: ${headline(status, options)}`, `run ${status.run}`]
  const row = (name: string, text: string): void => void lines.push(`  ${name.padEnd(9)}  ${text}`)
  if (typeof options.driver === 'number') {
    row(
      'reach',
      `control socket missing (process ${options.driver}); shown from the journal; \`kill -INT ${options.driver}\` cancels the run`,
    )
  }
  if (status.phases.length > 0) {
    row(
      'done',
      status.phases
        .map(({ elapsedUs, outcome, phase }) => {
          return `${phaseText(phase)} ${duration(elapsedUs)}${outcome === 'ok' ? '' : ` (${outcome})`}`
        })
        .join(', '),
    )
  }
  if (round !== null) {
    const speed = round.bytesPerSecond === null ? '' : `, ${rate(round.bytesPerSecond)}`
    const dirty = round.dirtyBytes === null ? '' : `, ${size(round.dirtyBytes)} dirty after the last`
    const part = `${percent(round.sentBytes, round.roundBytes)} of ${size(round.roundBytes)}`
    row('round', `${round.round}, ${part}${speed}${dirty}`)
  }
  if (forecast !== null) {
    const fit = forecast.fits === null ? '' : forecast.fits ? ', fits' : ', does NOT fit'
    row('blackout', `about ${forecastText(forecast.expectedUs, forecast.range)}${fit}`)
  }
  row('limits', limitsText(limits))
  if (status.cutover !== null && status.ended === null) row('cutover', cutoverText(status.cutover))
  if (status.hooks.done > 0) {
    const failed = status.hooks.failed === 0 ? '' : `, ${status.hooks.failed} failed`
    row('hooks', `${plural(status.hooks.done, 'hook')} ran${failed}`)
  }
  if (status.devices.length > 0) lines.push(devicesText(status, options.width))
  return lines.join('\n')
}

function headline(
  status: RunStatus,
  { live, nowMs }: { readonly live: boolean; readonly nowMs: number },
): string {
  const { ended, held } = status
  if (ended !== null) return `ended, ${ended.outcome}${ended.error === null ? '' : ` [${ended.error.code}]`}`
  if (!live)
    return `DIED: the ferry process that drove it has ended; \`ferry recover ${status.run}\` finishes it`
  const cancelling = status.cancelAsked ? ', cancelling' : ''
  if (held === null)
    return `${status.phase === null ? 'between phases' : phaseText(status.phase)}${cancelling}`
  const until =
    held.untilMs === null ? '' : `, times out in ${duration(Math.max(0, held.untilMs - nowMs) * 1000)}`
  return `HELD ${held.point}${until}${cancelling}`
}

export function limitsText({ bandwidth, downtimeLimitUs, streams }: RunStatus['limits']): string {
  return [
    downtimeLimitUs === null ? 'downtime limit unknown' : `downtime limit ${duration(downtimeLimitUs)}`,
    bandwidth === null ? 'no bandwidth cap' : `bandwidth ${rate(bandwidth)}`,
    ...(streams === null ? [] : [plural(streams, 'stream')]),
  ].join(', ')
}

function cutoverText({ atMs, state }: NonNullable<RunStatus['cutover']>): string {
  const at = atMs === null ? '' : ` for ${momentText(atMs)}`
  return {
    scheduled: `scheduled${at}`,
    waiting: 'asked for, waiting until the forecast fits',
    accepted: `continued${at}`,
    refused: `last request${at} refused: the forecast did not fit the limit`,
    missed: `last request${at} missed: no ferry drove the run then, and the hold holds`,
  }[state]
}

/** "2026-11-22 15:17:33 UTC". */
export function momentText(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/u, ' UTC')
}

function devicesText({ devices }: RunStatus, width: number | undefined): string {
  const rows = devices.map(({ destination, device, source }) => [device, source ?? '-', destination ?? '-'])
  const columns = [{ title: 'DEVICE' }, { title: 'SOURCE' }, { title: 'DESTINATION' }] as const
  return table(columns, rows, { indent: '  ', ...(width !== undefined && { width }) })
}
