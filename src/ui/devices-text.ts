/** An inventory as people read it: a table where it fits, a block per device where it does not or on request. */
import type { Inventory, InventoryDevice } from '../inventory/inventory.js'
import type { HostFacts, TrackerFacts } from '../protocol/protocol.js'
import { table } from './table.js'
import { plural, size } from '../units.js'
import { reasonText, textWidth, wrap } from './wrap.js'

export interface DevicesTextOptions {
  /** Columns of the terminal; absent: the table is not cut. */
  readonly width?: number
  /** Everything known of each device, in place of the table. */
  readonly long?: boolean
  /** Whether functions not bound to VFIO were asked for. */
  readonly all?: boolean
}

export function devicesText(inventory: Inventory, options: DevicesTextOptions = {}): string {
  const { devices, host } = inventory
  const width = textWidth(options.width)
  const sections = [hostText(host, width)]
  if (devices.length === 0) {
    sections.push(nothingText(host, options.all ?? false, width))
  } else if (options.long) {
    sections.push(...devices.map((device) => blockText(device, width, true)))
  } else {
    const overview = deviceTable(devices)
    const fits = overview.split('\n').every((line) => line.length <= (options.width ?? Infinity))
    sections.push(...(fits ? [overview] : devices.map((device) => blockText(device, width, false))))
    const trackers = trackersSection(devices, width)
    if (trackers !== null) sections.push(trackers)
    sections.push(...whyText(devices, width))
  }
  if (inventory.unseen.length > 0) {
    sections.push(['Not seen:', ...inventory.unseen.map((line) => wrap(line, width, '  - '))].join('\n'))
  }
  return sections.join('\n\n')
}

function hostText(host: HostFacts, width: number): string {
  const facts = [
    `IOMMU ${host.iommuPresent ? 'in use' : 'not in use'}`,
    `type1 ${yesNo(host.type1)}`,
    `iommufd ${yesNo(host.iommufd)}`,
    ...(host.noiommuEnabled ? ['noiommu mode enabled'] : []),
    `memlock ${host.memlockBytes === null ? 'unlimited' : size(BigInt(host.memlockBytes))}`,
    `seen as uid ${host.uid}`,
  ]
  return wrap(`${host.hostname}, Linux ${host.kernel}: ${facts.join(', ')}`, width, '', '  ')
}

/** What an empty list means on this host. */
function nothingText(host: HostFacts, all: boolean, width: number): string {
  const lines = [
    wrap(
      `${host.hostname} has no VFIO devices: no mdev, and no PCI function bound to a VFIO driver. ` +
        'No device of this host can be migrated as it stands.',
      width,
    ),
  ]
  if (!host.iommuPresent) {
    lines.push(
      wrap(
        'It also has no IOMMU in use. PCI functions need one (VT-d, AMD-Vi or SMMU, on in firmware and kernel); mdevs do not.',
        width,
        '  - ',
      ),
    )
  }
  if (!all) {
    lines.push(wrap('`ferry devices --all` lists the PCI functions that could be bound.', width, '  - '))
  } else {
    lines.push(wrap('It has no PCI functions either, bound or not.', width, '  - '))
  }
  lines.push(wrap('Profiles whose devices are simulated (`sim:`) still run here.', width, '  - '))
  return lines.join('\n')
}

function deviceTable(devices: readonly InventoryDevice[]): string {
  return table(
    [
      { title: 'MIGRATES' },
      { title: 'KIND' },
      { title: 'DEVICE' },
      { title: 'DRIVER' },
      { title: 'GROUP', align: 'right' },
      { title: 'IOMMU' },
      { title: 'VIABLE' },
      { title: 'BACKENDS' },
      { title: 'FLAGS' },
      { title: 'TRACKERS' },
      { title: 'STATE', align: 'right' },
    ],
    devices.map((device) => [
      verdict(device),
      kindText(device),
      device.id,
      device.driver ?? '-',
      device.group?.id ?? '-',
      device.group?.iommu ?? '-',
      device.group === null ? '-' : yesNo(device.group.viable),
      isUnbound(device) ? '-' : backendsText(device),
      flagsText(device, ','),
      isUnbound(device) ? '-' : trackersText(device.trackers),
      stateText(device),
    ]),
  )
}

function blockText(device: InventoryDevice, width: number, long: boolean): string {
  const line = (name: string, text: string): string => wrap(text, width, `  ${name.padEnd(10)} `)
  const { group } = device
  const lines = [`${device.id}  (${kindText(device)})`, line('migrates', verdict(device))]
  const place = [
    device.mdevType === null
      ? null
      : `type ${device.mdevType} of ${device.mdevParent ?? 'an unknown parent'}`,
    device.vendor === null
      ? null
      : `PCI id ${device.vendor}:${device.device ?? '?'}, class ${device.class ?? '?'}`,
    device.physicalFunction === null ? null : `virtual function of ${device.physicalFunction}`,
    device.virtualFunctions > 0 ? `has ${plural(device.virtualFunctions, 'virtual function')}` : null,
  ].filter((part) => part !== null)
  if (place.length > 0) lines.push(line('what', place.join('; ')))
  if (long && device.sysfsPath !== null) lines.push(line('sysfs', device.sysfsPath))
  if (!device.simulated) {
    lines.push(line('driver', device.driver ?? 'none'))
    lines.push(
      line(
        'group',
        group === null
          ? 'none'
          : `${group.id}, ${group.iommu}${group.viable === false ? ', NOT viable' : ''}, ${group.node ?? 'no node'}` +
              (group.members.length > 1 ? `; ${plural(group.members.length, 'member')}` : ''),
      ),
    )
    if (long) lines.push(...membersText(device).map((member) => line('member', member)))
    lines.push(
      line('cdev', device.cdev === null ? 'none' : (device.cdev.node ?? `${device.cdev.name}, no node`)),
    )
  }
  if (long) {
    for (const { available, backend, why } of device.backends) {
      lines.push(line('backend', `${backend} ${yesNo(available)}: ${why}`))
    }
  } else {
    lines.push(line('backends', backendsText(device)))
  }
  lines.push(line('flags', flagsText(device, ', ')))
  lines.push(line('state', stateLine(device)))
  if (long) {
    for (const tracker of device.trackers) lines.push(line('tracker', trackerLine(tracker)))
    lines.push(line('asked', probeText(device)))
    lines.push(...device.reasons.map((reason) => reasonText(reason, width, '  ')))
  } else {
    lines.push(line('trackers', trackersText(device.trackers)))
  }
  return lines.join('\n')
}

/**
 * Which trackers each device has, and why not the others: devices of which the same is to be said stand together. What
 * no VFIO driver has is left out, for nothing could be asked about it.
 */
function trackersSection(devices: readonly InventoryDevice[], width: number): string | null {
  const groups = new Map<string, string[]>()
  for (const device of devices) {
    if (isUnbound(device)) continue
    const lines = device.trackers
      .filter(({ kind }) => kind !== 'all')
      .map((tracker) => wrap(trackerLine(tracker), width, '      '))
    if (lines.length === 0) continue
    const text = lines.join('\n')
    groups.set(text, [...(groups.get(text) ?? []), device.id])
  }
  if (groups.size === 0) return null
  return [
    'Trackers (`all`, every page in every round, needs nothing):',
    ...[...groups].map(([text, ids]) => `${wrap(ids.join(', '), width, '  ')}\n${text}`),
  ].join('\n')
}

/** "type1,iommufd"; "?" marks what could not be seen. */
function backendsText(device: InventoryDevice): string {
  const shown = device.backends
    .filter(({ available }) => available !== false)
    .map(({ available, backend }) => `${backend}${available === null ? '?' : ''}`)
  return shown.length === 0 ? '-' : shown.join(',')
}

function whyText(devices: readonly InventoryDevice[], width: number): string[] {
  const part = (title: string, chosen: readonly InventoryDevice[]): string[] =>
    chosen.length === 0
      ? []
      : [
          [
            title,
            ...chosen.flatMap((device) => [
              `  ${device.id}`,
              ...device.reasons.map((reason) => reasonText(reason, width, '    ')),
            ]),
          ].join('\n'),
        ]
  return [
    ...part(
      'Cannot migrate, and what would change it:',
      devices.filter((device) => device.migratable === false),
    ),
    ...part(
      'Could not be decided:',
      devices.filter((device) => device.migratable === null),
    ),
  ]
}

/** Nothing can be known of what no VFIO driver has. */
function isUnbound(device: InventoryDevice): boolean {
  return device.reasons.some(({ code }) => code === 'not-bound' || code === 'wrong-driver')
}

function verdict(device: InventoryDevice): string {
  if (device.migratable && device.probe.heldBy !== undefined) return 'in use'
  return device.migratable === null ? 'unknown' : device.migratable ? 'yes' : 'no'
}

function kindText(device: InventoryDevice): string {
  if (device.simulated) return `sim ${device.kind}`
  return device.kind === 'function' && device.physicalFunction !== null ? 'function (VF)' : device.kind
}

function flagsText(device: InventoryDevice, separator: string): string {
  if (device.migration === null) return isUnbound(device) ? '-' : '?'
  return device.migration.flags.length === 0 ? '-' : device.migration.flags.join(separator)
}

/** Trackers better than `all`, which needs nothing and is always there; "?" marks what could not be seen. */
function trackersText(trackers: readonly TrackerFacts[]): string {
  const shown = trackers
    .filter((tracker) => tracker.kind !== 'all' && tracker.available !== false)
    .map((tracker) => `${tracker.kind}${tracker.available === null ? '?' : ''}`)
  return shown.length === 0 ? '-' : shown.join(',')
}

function trackerLine(tracker: TrackerFacts): string {
  const reason = tracker.reason === undefined ? '' : `: ${tracker.reason}`
  return `${tracker.kind} ${yesNo(tracker.available)}${reason}`
}

function stateText(device: InventoryDevice): string {
  const bytes = device.migration?.stateBytes ?? null
  if (bytes !== null) return size(BigInt(bytes))
  return device.migration?.supported === false || isUnbound(device) ? '-' : '?'
}

function stateLine(device: InventoryDevice): string {
  if (device.migration === null || !device.migration.supported) return stateText(device)
  const bytes = device.migration.stateBytes === null ? 'size unknown' : `${stateText(device)} now`
  return `${device.migration.state ?? 'not read'}; ${bytes}`
}

function membersText(device: InventoryDevice): string[] {
  return (device.group?.members ?? []).map(
    (member) =>
      `${member.id} (${member.driver ?? 'no driver'}${member.blocksGroup ? ', blocks the group' : ''})`,
  )
}

function probeText(device: InventoryDevice): string {
  const held = device.probe.heldBy === undefined ? '' : `, while process ${device.probe.heldBy} has it open`
  if (device.probe.done) return `through ${device.probe.via ?? 'its node'}${held}`
  return `no${device.probe.skipped === undefined ? '' : `: ${device.probe.skipped}`}`
}

function yesNo(value: boolean | null): string {
  return value === null ? '?' : value ? 'yes' : 'no'
}
