/** A plan as people read it before they run it. Blockers stand last, where the eye rests when the screen has scrolled. */
import type { InventoryDevice } from '../inventory/inventory.js'
import type { OneSide } from '../plan/one-side.js'
import type { Blocker, DevicePair, Plan, Step } from '../plan/plan.js'
import type { Found } from '../forecast/sample.js'
import type { PlanForecast } from '../journal/event.js'
import { basisText } from './forecast-text.js'
import { sampleText } from './sample-text.js'
import { table } from './table.js'
import { explainTrackers, trackerLines } from './tracker-text.js'
import { duration, plural, size } from '../units.js'
import { reasonText, textWidth, wrap } from './wrap.js'

export interface PlanTextOptions {
  readonly width?: number
  /** All that was weighed for each device, with `found`'s figures, in place of a line each. */
  readonly explain?: boolean
  readonly found?: Found
  /** The blackout by what is known. */
  readonly blackout?: PlanForecast
}

export function planText(plan: Plan, options: PlanTextOptions = {}): string {
  const width = textWidth(options.width)
  return [
    heading(plan, width),
    pairsText(plan, options.width),
    options.explain
      ? explainTrackers(plan, options.found?.sample ?? null, width)
      : trackerLines(plan, options.width),
    containersText(plan, width),
    stepsText(plan.steps, width),
    forecastText(plan, width, options.blackout),
    options.explain && options.found !== undefined ? sampleText(options.found, options.width) : null,
    findingsText('WARNINGS', plan.warnings, width),
    findingsText('BLOCKERS', plan.blockers, width),
  ]
    .filter((section) => section !== null)
    .join('\n\n')
}

/** What is known while the other host cannot be reached; the error says why it cannot. */
export function oneSideText(profile: string, known: OneSide, width?: number): string {
  const columns = textWidth(width)
  const { blockers, devices, hostname, side, warnings } = known
  const verdict = blockers.length === 0 ? 'nothing stands in the way' : plural(blockers.length, 'blocker')
  return [
    wrap(
      `plan ${profile}: not complete, only the ${side} could be asked; on ${hostname} ${verdict}. Nothing has been changed.`,
      columns,
      '',
      '  ',
    ),
    table(
      [{ title: 'DEVICE' }, { title: side.toUpperCase() }, { title: 'MIGRATES' }],
      devices.map(({ device, id, migratable }) => [
        device,
        id,
        migratable === null ? 'not seen' : migratable ? 'yes' : 'no',
      ]),
    ),
    findingsText('WARNINGS', warnings, columns),
    findingsText('BLOCKERS', blockers, columns),
  ]
    .filter((section) => section !== null)
    .join('\n\n')
}

function heading(plan: Plan, width: number): string {
  const { source, destination } = plan.inventories
  const [from, to] = [source.host, destination.host]
  const route =
    from.hostname === to.hostname ? `both sides on ${from.hostname}` : `${from.hostname} -> ${to.hostname}`
  const verdict =
    plan.blockers.length > 0
      ? `BLOCKED by ${plural(plan.blockers.length, 'cause')}`
      : `can run${plan.warnings.length > 0 ? `, with ${plural(plan.warnings.length, 'warning')}` : ''}`
  return wrap(
    `plan ${plan.profile}: ${verdict}; ${plural(plan.pairs.length, 'device')}, ` +
      `${size(plan.forecast.memoryBytes)} of memory, ${route}. Nothing has been changed.`,
    width,
    '',
    '  ',
  )
}

function pairsText(plan: Plan, width: number | undefined): string {
  const find = (side: 'source' | 'destination', pair: DevicePair): InventoryDevice | undefined =>
    plan.inventories[side].devices.find((device) => device.id === pair[side])
  const rows = plan.pairs.map((pair) => {
    const device = find('source', pair)
    return [
      pair.device,
      whatText(device),
      device?.simulated ? '(simulated)' : pair.source,
      find('destination', pair)?.simulated ? '(simulated)' : pair.destination,
      pair.backend,
      plan.trackers.find((tracker) => tracker.covers.includes(pair.device))?.kind ?? 'none',
      pair.stateBytes === null ? '?' : size(pair.stateBytes),
    ]
  })
  const columns = [
    { title: 'DEVICE' },
    { title: 'WHAT' },
    { title: 'SOURCE' },
    { title: 'DESTINATION' },
    { title: 'BACKEND' },
    { title: 'TRACKER' },
    { title: 'STATE', align: 'right' as const },
  ]
  const wide = table(columns, rows)
  if (wide.split('\n').every((line) => line.length <= (width ?? 120))) return wide
  // Two UUIDs do not fit a narrow terminal: the ids get lines of their own, so that nothing is cut.
  const slim = <T>(cells: readonly T[]): T[] => cells.filter((_, index) => index !== 2 && index !== 3)
  const [title, ...lines] = table(slim(columns), rows.map(slim)).split('\n')
  return [
    title,
    ...rows.flatMap((row, index) => [lines[index], `  from ${row[2]}`, `  to   ${row[3]}`]),
  ].join('\n')
}

function whatText(device: InventoryDevice | undefined): string {
  if (device === undefined) return 'not found'
  if (device.kind === 'mdev') return device.mdevType === null ? 'mdev' : `mdev ${device.mdevType}`
  const id = device.vendor === null ? '' : ` ${bare(device.vendor)}:${bare(device.device ?? '????')}`
  return `${device.physicalFunction === null ? 'function' : 'VF'}${id}`
}

function bare(hex: string): string {
  return hex.replace(/^0x/, '')
}

function containersText(plan: Plan, width: number): string {
  const lines = ['CONTAINERS']
  for (const side of ['source', 'destination'] as const) {
    for (const container of plan.containers.filter((entry) => entry.side === side)) {
      const dirty = `${container.dirtyTracking ? ', dirty tracking' : ''}${container.mixed ? ', mixed' : ''}`
      lines.push(
        wrap(
          `${container.container} (${container.backend}${dirty}): ${container.devices.join(', ')}`,
          width,
          `  ${side.padEnd(11)}  `,
        ),
      )
      if (side === 'source' || plan.containers.every((entry) => entry.side === 'destination')) {
        lines.push(wrap(container.reason, width, ' '.repeat(17)))
      }
    }
  }
  return lines.join('\n')
}

function stepsText(steps: readonly Step[], width: number): string {
  if (steps.length === 0) return 'STEPS\n  none: a plan with blockers cannot run'
  const lines = ['STEPS']
  let phase = ''
  steps.forEach((step, index) => {
    if (step.phase !== phase) {
      phase = step.phase
      lines.push(`  ${phase}`)
    }
    const undo = step.undo === undefined ? '' : ` (undone by ${step.undo.op})`
    lines.push(
      wrap(`${step.text}${undo}`, width, `  ${String(index + 1).padStart(4)}  ${step.side.padEnd(11)}  `),
    )
  })
  if (steps.some((step) => step.side === 'destination')) {
    lines.push(
      wrap('then connect, pre-copy, cutover and commit, within the limits of the profile', width, '  '),
    )
  }
  return lines.join('\n')
}

function forecastText(
  { forecast, pageSize }: Plan,
  width: number,
  blackout: PlanForecast | undefined,
): string {
  const { fixedBlackoutUs, floorBytes, memoryBytes, notes, stateBytes } = forecast
  const line = (name: string, text: string): string => `  ${name.padEnd(13)}  ${text}`
  return [
    'FORECAST  (lower bounds)',
    line('memory', `${size(memoryBytes)}, tracked in pages of ${size(BigInt(pageSize))}`),
    line('device state', stateBytes === null ? 'unknown' : size(stateBytes)),
    line('always dirty', floorBytes === 0n ? 'unknown' : size(floorBytes)),
    line('transitions', fixedBlackoutUs === 0 ? 'unknown' : `${duration(fixedBlackoutUs)} of the blackout`),
    ...(blackout === undefined
      ? []
      : [wrap(blackoutText(blackout), width, '  blackout       ', ' '.repeat(17))]),
    ...notes.map((note) => wrap(note, width, '  - ')),
  ].join('\n')
}

function blackoutText(blackout: PlanForecast): string {
  const { atLeastUs, expectedUs } = blackout
  const about =
    expectedUs === null
      ? 'how much the devices write is unknown: `ferry dirty-log` measures it'
      : `expected about ${duration(expectedUs)}`
  return `at least ${duration(atLeastUs)}; ${about} (${basisText(blackout)})`
}

function findingsText(title: string, findings: readonly Blocker[], width: number): string | null {
  if (findings.length === 0) return null
  return [
    `${title} (${findings.length})`,
    ...merged(findings).map((one) => reasonText(one, width, '  ', one.who)),
  ].join('\n')
}

/** One finding on both sides is one entry that names both. */
function merged(findings: readonly Blocker[]): readonly (Blocker & { readonly who: string })[] {
  const entries = new Map<string, Blocker & { who: string }>()
  for (const finding of findings) {
    const key = [finding.code, finding.device, finding.found].join('\n')
    const known = entries.get(key)
    const sides = known === undefined ? sideText(finding) : 'both sides'
    const who = [sides, finding.device].filter((part) => part !== null && part !== '').join(', ')
    entries.set(key, { ...finding, who })
  }
  return [...entries.values()]
}

function sideText(finding: Blocker): string {
  return finding.side === 'both' ? 'both sides' : finding.side
}
