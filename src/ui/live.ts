/** The live view: at most eight lines on a terminal's stderr, painted over ten times a second. */
import { styleText } from 'node:util'
import type { EventRecord } from '../journal/event.js'
import type { RunStatus } from '../journal/status.js'
import { bars, gauge, isUtf8 } from './chart.js'
import { forecastText } from './status-text.js'
import { cut } from './table.js'
import { plainLine, PlainView } from './plain.js'
import type { Subscriber } from '../journal/event-stream.js'
import { wantsColour } from '../terminal.js'
import { duration, rate, size } from '../units.js'
import { phaseText } from './words.js'
import { advance, EMPTY_VIEW, type ViewState } from './view-state.js'

const PERIOD_MS = 100
const MAX_LINES = 8

export interface Look {
  readonly width: number
  readonly utf8: boolean
  readonly colour: boolean
}

/** The lines for a state at a moment of the run. Pure. */
export function liveLines(state: ViewState, nowUs: number, look: Look): readonly string[] {
  const { cancelAsked, devices, held, phase, phases, round, run, workload } = state.status
  const done = phases.map(({ elapsedUs, outcome, phase: past }) => {
    const mark = outcome === 'ok' ? (look.utf8 ? '✔' : 'ok') : look.utf8 ? '✘' : '!!'
    return `${paint(look, outcome === 'ok' ? 'green' : 'red', mark)} ${phaseText(past)} ${duration(elapsedUs)}`
  })
  const lines = [`${workload}  run ${run}${cancelAsked ? '  (cancelling; Ctrl-C again detaches)' : ''}`]
  if (done.length > 0) lines.push(done.join('  '))
  if (phase !== null) {
    const spent = duration(nowUs - state.phaseSinceUs)
    lines.push(`${look.utf8 ? '▸' : '>'} ${phaseText(phase)} ${spent}  ${current(state)}`)
  }
  if (held !== null) {
    const spent = duration(nowUs - held.sinceUs)
    lines.push(
      `  ${paint(look, 'yellow', 'HELD')} ${held.point} for ${spent}: \`ferry cutover\` continues it`,
    )
  }
  if (phase === 'pre-copy' && round !== null) lines.push(...preCopyLines(state, round, look))
  const known = devices.filter(({ destination, source }) => (source ?? destination) !== null)
  if (known.length > 0) lines.push(deviceLine(known))
  // Colour codes have no width; only uncoloured lines can grow long.
  return lines.slice(0, MAX_LINES).map((line) => (line.includes('\u001b[') ? line : cut(line, look.width)))
}

function preCopyLines(
  { dirty, status: { forecast, limits } }: ViewState,
  { bytesPerSecond, round, roundBytes, sentBytes }: NonNullable<RunStatus['round']>,
  look: Look,
): readonly string[] {
  const speed = bytesPerSecond === null ? '' : `  ${rate(bytesPerSecond)}`
  const bar = gauge(sentBytes, roundBytes, 20, look.utf8)
  const lines = [`  round ${round}  ${bar}  ${size(sentBytes)} of ${size(roundBytes)}${speed}`]
  const last = dirty.at(-1)
  if (last !== undefined) {
    const max = dirty.reduce((high, value) => (value > high ? value : high), 0n)
    lines.push(`  dirty after each round  ${bars(dirty, max, look.utf8)}  last ${size(last)}`)
  }
  if (forecast !== null && limits.downtimeLimitUs !== null) {
    const estimate = forecastText(forecast.expectedUs, forecast.range)
    lines.push(`  blackout now about ${estimate}, limit ${duration(limits.downtimeLimitUs)}`)
  }
  return lines
}

function deviceLine(devices: RunStatus['devices']): string {
  const parts = devices.map(({ destination, device, source }) => {
    const there = destination === null ? '' : ` -> ${destination}`
    return `${device} ${source ?? '?'}${there}`
  })
  return `  ${parts.join('  ')}`
}

function current({ cutoverStep, doing, status }: ViewState): string {
  if (status.phase === 'cutover' && cutoverStep !== null) return cutoverStep
  return [...doing.values()].at(-1) ?? ''
}

function paint(look: Look, colour: 'green' | 'red' | 'yellow', text: string): string {
  return look.colour ? styleText(colour, text) : text
}

/** What must not go by with the next repaint. */
function spoken(record: EventRecord): string | null {
  const { body } = record
  if (body.type === 'hook' && !body.ok) return plainLine(record)
  if (body.type === 'cutover-asked' || body.type === 'set') return plainLine(record)
  if (body.type !== 'helper' || body.event.event !== 'log' || body.event.level === 'info') return null
  return `${body.side}: ${body.event.level}: ${body.event.message}`
}

/** Paints until `stop`, which leaves the terminal clean: the summary follows on stdout. */
export class LiveView {
  private state: ViewState = EMPTY_VIEW
  private painted = 0
  private readonly stream: NodeJS.WriteStream
  private readonly nowUs: () => number
  private readonly colour: boolean
  private readonly timer: NodeJS.Timeout

  constructor(stream: NodeJS.WriteStream, nowUs: () => number, colour: boolean) {
    this.stream = stream
    this.nowUs = nowUs
    this.colour = colour
    this.timer = setInterval(() => this.paint(), PERIOD_MS)
    this.timer.unref()
  }

  readonly take = (record: EventRecord): void => {
    this.state = advance(this.state, record)
    const { body } = record
    const aloud = spoken(record)
    if (aloud !== null) {
      this.clear()
      this.stream.write(`${aloud}\n`)
      this.paint()
    }
    if (body.type === 'cancel-asked' || body.type === 'hold') this.paint()
  }

  stop(): void {
    clearInterval(this.timer)
    this.clear()
  }

  private paint(): void {
    const look = { width: this.stream.columns || 80, utf8: isUtf8(), colour: this.colour }
    const lines = liveLines(this.state, this.nowUs(), look)
    this.clear()
    this.stream.write(lines.map((line) => `${line}\n`).join(''))
    this.painted = lines.length
  }

  private clear(): void {
    if (this.painted > 0) this.stream.write(`\u001b[${this.painted}A\u001b[J`)
    this.painted = 0
  }
}

/** The live view for a terminal that can be painted over, the plain one for everything else; both on stderr. */
export function openView(nowUs: () => number): { readonly take: Subscriber; stop(): void } {
  const { stderr } = process
  const paints = stderr.isTTY && process.env['TERM'] !== 'dumb' && !process.env['CI']
  return paints
    ? new LiveView(stderr, nowUs, wantsColour(stderr))
    : new PlainView((text) => void stderr.write(text), nowUs)
}
