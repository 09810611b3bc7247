/** The live view: at most eight lines on a terminal's stderr, painted over ten times a second. */
import { styleText } from 'node:util'
import type { EventRecord } from '../journal/event.js'
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
  const done = state.phases.map(({ elapsedUs, outcome, phase }) => {
    const mark = outcome === 'ok' ? (look.utf8 ? '✔' : 'ok') : look.utf8 ? '✘' : '!!'
    return `${paint(look, outcome === 'ok' ? 'green' : 'red', mark)} ${phaseText(phase)} ${duration(elapsedUs)}`
  })
  const lines = [
    `${state.profile}  run ${state.run}${state.cancelAsked ? '  (cancelling; Ctrl-C again detaches)' : ''}`,
  ]
  if (done.length > 0) lines.push(done.join('  '))
  if (state.phase !== null) {
    const spent = duration(nowUs - state.phaseSinceUs)
    lines.push(`${look.utf8 ? '▸' : '>'} ${phaseText(state.phase)} ${spent}  ${current(state)}`)
  }
  if (state.held !== null) {
    const spent = duration(nowUs - state.held.sinceUs)
    lines.push(
      `  ${paint(look, 'yellow', 'HELD')} ${state.held.point} for ${spent}: \`ferry cutover\` continues it`,
    )
  }
  if (state.phase === 'pre-copy' && state.round > 0) lines.push(...preCopyLines(state, look))
  if (state.states.size > 0) lines.push(deviceLine(state))
  // Colour codes have no width; only uncoloured lines can grow long.
  return lines.slice(0, MAX_LINES).map((line) => (line.includes('\u001b[') ? line : cut(line, look.width)))
}

function preCopyLines(state: ViewState, look: Look): readonly string[] {
  const speed = state.bytesPerSecond === null ? '' : `  ${rate(state.bytesPerSecond)}`
  const bar = gauge(state.sentBytes, state.roundBytes, 20, look.utf8)
  const lines = [
    `  round ${state.round}  ${bar}  ${size(state.sentBytes)} of ${size(state.roundBytes)}${speed}`,
  ]
  const last = state.dirty.at(-1)
  if (last !== undefined) {
    const max = state.dirty.reduce((high, value) => (value > high ? value : high), 0n)
    lines.push(`  dirty after each round  ${bars(state.dirty, max, look.utf8)}  last ${size(last)}`)
  }
  if (state.estimatedBlackoutUs !== null && state.downtimeLimitUs !== null) {
    const estimate = forecastText(state.estimatedBlackoutUs, state.forecast)
    lines.push(`  blackout now about ${estimate}, limit ${duration(state.downtimeLimitUs)}`)
  }
  return lines
}

function deviceLine(state: ViewState): string {
  const parts = [...state.states].map(([device, { source, destination }]) => {
    const there = destination === undefined ? '' : ` -> ${destination}`
    return `${device} ${source ?? '?'}${there}`
  })
  return `  ${parts.join('  ')}`
}

function current(state: ViewState): string {
  if (state.phase === 'cutover' && state.cutoverStep !== null) return state.cutoverStep
  return [...state.doing.values()].at(-1) ?? ''
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
