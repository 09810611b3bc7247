/** The plain view, for logs and pipes: a line for each event that matters, and a sign of life in between. */
import type { EventRecord } from '../journal/event.js'
import { forecastText } from './status-text.js'
import { steeringLine } from './interventions-text.js'
import { duration, percent, plural, rate, size } from '../units.js'
import { phaseText } from './words.js'
import { advance, EMPTY_VIEW, type ViewState } from './view-state.js'

const HEARTBEAT_US = 5_000_000
/** Of a run that is held, which sends a round every second, for hours. */
const HELD_LINES_US = 30_000_000

/** The line for one event, or null for an event that is none of a reader's business. Pure. */
export function plainLine({ body }: EventRecord): string | null {
  switch (body.type) {
    case 'run-start':
      return `run ${body.run}: ${body.command} ${body.profile}`
    case 'phase-start':
      return `${phaseText(body.phase)}: begins`
    case 'phase-end':
      return `${phaseText(body.phase)}: ${body.outcome} after ${duration(body.elapsedUs)}`
    case 'intent':
      return `${phaseText(body.phase)}: ${body.side}: ${body.text}`
    case 'outcome':
      return body.error === undefined ? null : `failed: [${body.error.code}] ${body.error.message}`
    case 'cancel-asked':
      return 'cancelling: Ferry stops, then undoes every step; press Ctrl-C again to detach'
    case 'hold':
    case 'cutover-asked':
    case 'hook':
    case 'set':
    case 'recover-start':
      return steeringLine(body)
    case 'run-end':
      return `run ended: ${body.outcome} after ${duration(body.elapsedUs)}`
    case 'helper':
      break
  }
  const { event } = body
  switch (event.event) {
    case 'device-state':
      return `${body.side}: ${event.device}: ${event.from} -> ${event.to} in ${duration(event.elapsedUs)}`
    case 'round-end': {
      const { bytesPerSecond, dirtyBytes, elapsedUs, estimatedBlackoutUs, forecast, round, sentBytes } = event
      const about = forecastText(forecast?.expectedUs ?? estimatedBlackoutUs, forecast ?? null)
      return (
        `round ${round}: ${size(BigInt(sentBytes))} in ${duration(elapsedUs)} (${rate(BigInt(bytesPerSecond))}), ` +
        `${size(BigInt(dirtyBytes))} re-dirtied, blackout now about ${about}`
      )
    }
    case 'cutover':
      return event.done ? `cutover: ${body.side}: ${event.step} ${duration(event.elapsedUs)}` : null
    case 'log':
      return `${body.side}: ${event.level}: ${event.device === undefined ? '' : `${event.device}: `}${event.message}`
    default:
      return null
  }
}

export class PlainView {
  private state: ViewState = EMPTY_VIEW
  private lastUs = 0
  private lastRoundUs = 0
  private readonly write: (text: string) => void
  private readonly nowUs: () => number
  private readonly timer: NodeJS.Timeout

  constructor(write: (text: string) => void, nowUs: () => number) {
    this.write = write
    this.nowUs = nowUs
    this.timer = setInterval(() => this.heartbeat(), 1000)
    this.timer.unref()
  }

  readonly take = (record: EventRecord): void => {
    this.state = advance(this.state, record)
    const line = plainLine(record)
    if (line === null || this.isHeldRound(record)) return
    this.lastUs = record.atUs
    this.write(`${stamp(record.atUs)} ${line}\n`)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private isHeldRound({ atUs, body }: EventRecord): boolean {
    if (body.type !== 'helper' || body.event.event !== 'round-end') return false
    if (this.state.status.held !== null && atUs - this.lastRoundUs < HELD_LINES_US) return true
    this.lastRoundUs = atUs
    return false
  }

  /** Only when nothing else was said for a while: a log must show that a long step is alive. */
  heartbeat(): void {
    const nowUs = this.nowUs()
    const quiet = this.state.status.held === null ? HEARTBEAT_US : HELD_LINES_US
    if (this.state.status.phase === null || nowUs - this.lastUs < quiet) return
    this.lastUs = nowUs
    this.write(`${stamp(nowUs)} ${heartbeatText(this.state, nowUs)}\n`)
  }
}

export function heartbeatText({ doing, phaseSinceUs, status }: ViewState, nowUs: number): string {
  const { phase, round } = status
  const held =
    status.held === null ? '' : `, held ${status.held.point} for ${duration(nowUs - status.held.sinceUs)}`
  const spent = `${phaseText(phase ?? '')}: ${duration(nowUs - phaseSinceUs)}${held}`
  if (phase === 'pre-copy' && round !== null) {
    const speed = round.bytesPerSecond === null ? '' : `, ${rate(round.bytesPerSecond)}`
    const part = percent(round.sentBytes, round.roundBytes)
    return `${spent}, round ${round.round}, ${part} of ${size(round.roundBytes)}${speed}`
  }
  return `${spent}, ${plural(doing.size, 'step')} under way: ${[...doing.values()].at(-1) ?? 'none'}`
}

/** Seconds since the run began: "[  12.345]". */
function stamp(us: number): string {
  return `[${(us / 1_000_000).toFixed(3).padStart(8)}]`
}
