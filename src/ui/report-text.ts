/** A Report as people read it. */
import type { Report } from '../report/report.js'
import { isUtf8 } from './chart.js'
import { dirtyText } from './dirty-text.js'
import { forecastsText } from './forecast-text.js'
import { interventionsText } from './interventions-text.js'
import { table } from './table.js'
import { trackerReadsText } from './tracker-reads-text.js'
import { count, duration, percent, plural, rate, rateOver, size } from '../units.js'
import { phaseText } from './words.js'

export interface TextOptions {
  /** Width of the terminal; absent: nothing is cut. */
  readonly width?: number
  readonly utf8?: boolean
}

export function reportText(report: Report, options: TextOptions = {}): string {
  const utf8 = options.utf8 ?? isUtf8()
  const sections = [
    heading(report),
    phases(report, options),
    rounds(report, options),
    trackerReadsText(report, options),
    devices(report, options),
    report.command === 'pin' ? pins(report, options) : null,
    report.command === 'dirty-log' ? dirtyText(report, { ...options, utf8 }) : null,
    interventionsText(report.interventions, options),
    blackout(report, options),
    forecastsText(report.forecasts, options),
    verification(report),
    resident(report),
    troubles(report),
  ]
  return sections.filter((section) => section !== null).join('\n\n')
}

const OUTCOMES: Readonly<Record<Report['outcome'], string>> = {
  done: 'done',
  'not-started': 'not started: nothing was changed',
  cancelled: 'cancelled: the source is running, and Ferry has checked it',
  'rolled-back': 'failed and rolled back: the source is running, and Ferry has checked it',
  'needs-person': 'FAILED: manual action needed',
  'downtime-limit':
    'not moved: the downtime limit would be passed; the source is running, and Ferry has checked it',
  'sides-disagree': 'failed: the two sides disagree',
  unknown: 'OUTCOME UNKNOWN: check both sides before you start anything by hand',
  incomplete: 'INCOMPLETE: the journal has no end of the run',
}

function heading(report: Report): string {
  const moved = report.command === 'migrate' && report.outcome === 'done'
  const state = moved
    ? `done${isVerified(report) ? ' and verified' : ''}: the destination runs`
    : OUTCOMES[report.outcome]
  const memory = report.memoryBytes === null ? '' : `, ${size(report.memoryBytes)} of memory`
  const began = report.startedAt.replace('T', ' ').replace(/\.\d+Z$/u, ' UTC')
  const lines = [
    `${report.command} ${report.profile}: ${state}`,
    `run ${report.run}, began ${began}, took ${duration(report.elapsedUs)}${memory}`,
  ]
  if (report.error !== null) {
    lines.push(`cause [${report.error.code}]: ${report.error.message}`)
    if (report.error.suggestion !== undefined) lines.push(`what to do: ${report.error.suggestion}`)
  }
  return lines.join('\n')
}

/** Whether something was compared, and nothing differed. */
export function isVerified({ verification: { full, writes } }: Report): boolean {
  if (full === null && writes === null) return false
  return (full?.mismatches.length ?? 0) === 0 && (writes?.lostPages ?? 0) === 0
}

function phases(report: Report, options: TextOptions): string | null {
  if (report.phases.length === 0) return null
  const rows = report.phases.map(({ bytes, elapsedUs, outcome, phase, rounds }) => [
    phaseText(phase),
    duration(elapsedUs),
    rounds === 0 ? '-' : String(rounds),
    bytes === 0n ? '-' : size(bytes),
    outcome,
  ])
  const columns = [
    { title: 'PHASE' },
    { title: 'TIME', align: 'right' },
    { title: 'ROUNDS', align: 'right' },
    { title: 'SENT', align: 'right' },
    { title: 'RESULT' },
  ] as const
  return table(columns, rows, options)
}

function rounds(report: Report, options: TextOptions): string | null {
  if (report.rounds.length === 0) return null
  const columns = [
    { title: 'ROUND', align: 'right' },
    { title: 'SENT', align: 'right' },
    { title: 'ZERO PAGES', align: 'right' },
    { title: 'TIME', align: 'right' },
    { title: 'RATE', align: 'right' },
    { title: 'RE-DIRTIED', align: 'right' },
  ] as const
  const rows = report.rounds.map((round) => [
    String(round.round),
    size(round.sentBytes),
    count(round.zeroPages),
    duration(round.elapsedUs),
    rate(round.bytesPerSecond),
    size(round.dirtyBytes),
  ])
  return [table(columns, rows, options), precopyEnd(report)].filter((part) => part !== '').join('\n')
}

function precopyEnd({ precopy }: Report): string {
  if (precopy === null) return ''
  const why = {
    converged: 'what is left fits the limit',
    rounds: 'the last allowed round ended',
    time: 'the allowed time ended',
    released: 'the run was continued',
  }[precopy.reason]
  return `pre-copy ended because ${why}: ${size(precopy.remainingBytes)} left, about ${duration(precopy.estimatedBlackoutUs)} of blackout`
}

function devices(report: Report, options: TextOptions): string | null {
  if (report.devices.length === 0) return null
  const measuring = report.command !== 'migrate'
  const columns = [
    { title: 'DEVICE' },
    { title: 'BACKEND' },
    { title: 'TRACKER' },
    { title: 'STATE BYTES', align: 'right' as const },
    ...(measuring ? [] : [{ title: 'SOURCE' }, { title: 'DESTINATION' }]),
  ]
  const rows = report.devices.map(({ backend, device, moved, stateBytes, states, trackers }) => [
    device,
    backend,
    trackers.join('+') || '-',
    stateBytes === null ? 'unknown' : `${size(stateBytes)}${moved || measuring ? '' : ' (planned)'}`,
    ...(measuring ? [] : [states.source ?? '-', states.destination ?? '-']),
  ])
  return table(columns, rows, options)
}

function pins(report: Report, options: TextOptions): string | null {
  if (report.pins.length === 0) return null
  const columns = [
    { title: 'CONTAINER' },
    { title: 'SIZE', align: 'right' },
    { title: 'PAGES', align: 'right' },
    { title: 'MAPS', align: 'right' },
    { title: 'TIME', align: 'right' },
    { title: 'RATE', align: 'right' },
    { title: 'LOCKED', align: 'right' },
  ] as const
  const rows = report.pins.map(({ bytes, container, elapsedUs, lockedBytes, maps, pages }) => {
    const speed = rateOver(bytes, elapsedUs)
    return [
      container,
      size(bytes),
      count(pages),
      count(maps),
      duration(elapsedUs),
      speed === null ? '-' : rate(speed),
      size(lockedBytes),
    ]
  })
  return table(columns, rows, options)
}

function blackout({ cutover }: Report, options: TextOptions): string | null {
  if (cutover === null) return null
  const { blackout: split, downtimeLimitUs, lastBytes, lastPages, outcome } = cutover
  const limit = downtimeLimitUs === null ? '' : `, limit ${duration(downtimeLimitUs)}`
  const title =
    outcome === 'running' ? `blackout ${duration(split.totalUs)}` : `stopped for ${duration(split.totalUs)}`
  const rows = [
    ['quiesce', duration(split.quiesceUs), 'devices stopped'],
    ['last pages', duration(split.lastPagesUs), `${plural(lastPages, 'page')}, ${size(lastBytes)}`],
    ['state', duration(split.stateUs), 'device state sent'],
    ['load', duration(split.loadUs), 'device state loaded and read back'],
    ['verify', split.verifyUs === 0 ? '-' : duration(split.verifyUs), 'all memory compared'],
    ...(split.hooksUs === undefined || split.hooksUs === 0
      ? []
      : [['hooks', duration(split.hooksUs), 'waiting for hooks inside the blackout']]),
    ['resume', duration(split.resumeUs), 'devices started on the destination'],
  ]
  const columns = [{ title: 'PART' }, { title: 'TIME', align: 'right' }, { title: 'WHAT' }] as const
  return `${title}${limit}\n${table(columns, rows, { ...options, indent: '  ' })}`
}

function verification({ command, cutover, verification: { full, writes } }: Report): string | null {
  if (command !== 'migrate' || cutover === null) return null
  const lines: string[] = []
  if (full !== null) {
    const bad = full.mismatches.length
    lines.push(
      bad === 0
        ? `verified: ${count(full.pages)} pages hashed on both sides after the stop, none differ`
        : `VERIFICATION FAILED: ${plural(bad, 'page')} of ${count(full.pages)} differ, first ${full.mismatches.slice(0, 4).join(', ')}`,
    )
  }
  if (writes !== null) {
    const lost = writes.lostPages
    const checked = `${count(writes.writes)} device writes replayed over ${count(writes.pages)} pages`
    lines.push(
      lost === 0
        ? `verified: ${checked}, none lost`
        : `VERIFICATION FAILED: ${checked}, ${plural(lost, 'page')} lost a write, first ${writes.lost.slice(0, 4).join(', ')}`,
    )
  }
  if (lines.length === 0 && cutover.outcome !== 'running') return null
  if (lines.length === 0)
    lines.push('memory not compared (`verify: none`); device states arrived with the right hashes')
  return lines.join('\n')
}

function resident({ resident: held }: Report): string | null {
  if (held === null) return null
  return `helpers held ${size(held.source)} (source) and ${size(held.destination)} (destination) besides the workload`
}

function troubles(report: Report): string | null {
  const lines = report.failedSteps
    .filter(({ error }) => error.code !== report.error?.code)
    .map(
      ({ error, phase, side, text }) =>
        `failed: ${phaseText(phase)}: ${side}: ${text}: [${error.code}] ${error.message}`,
    )
  if (report.outcome === 'incomplete') {
    for (const { side, text } of report.unfinished)
      lines.push(`unfinished when the journal ended: ${side}: ${text}`)
  }
  return lines.length === 0 ? null : lines.join('\n')
}

/** Locked memory against RLIMIT_MEMLOCK; null is a process the limit does not bind. */
export function memlockText(report: Report, limit: bigint | null): string {
  const locked = report.pins.reduce((sum, pin) => sum + pin.lockedBytes, 0n)
  if (limit === null) return `locked memory: ${size(locked)}; no limit binds the helper`
  return `locked memory: ${size(locked)} of the ${size(limit)} that RLIMIT_MEMLOCK allows (${percent(locked, limit)})`
}
