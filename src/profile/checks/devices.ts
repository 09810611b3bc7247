/** What no shape can say about devices: identity, the two sides of one device, choices that can never go together. */
import { duplicates, hex, PAGE_BYTES, type Placed } from './memory.js'
import type { ProfileFinding, Path } from '../findings/finding.js'
import { formatSize } from '../schema/quantity.js'
import type { RegionInput } from '../schema/memory.js'
import type { DeviceInput } from '../schema/schema.js'

type Device = Placed<DeviceInput>
const SIDES = ['source', 'destination'] as const

export function checkDevices(
  devices: readonly Device[],
  oneHost: boolean,
  forbidAll: boolean,
): ProfileFinding[] {
  return [
    ...duplicates(devices, 'profile/duplicate-device', 'device'),
    ...sameDevice(devices, oneHost),
    ...devices.flatMap((device) => [...checkSides(device), ...checkChoices(device, forbidAll)]),
    ...checkContainers(devices),
  ]
}

/** One kernel device cannot play two parts: twice on one side, or on both sides of a move within one host. */
function sameDevice(devices: readonly Device[], oneHost: boolean): ProfileFinding[] {
  const seen = new Map<string, string>()
  const findings: ProfileFinding[] = []
  for (const { path, value: device } of devices) {
    for (const side of SIDES) {
      const key = (['mdev', 'function'] as const).find((kind) => device[side][kind] !== undefined)
      if (key === undefined) continue
      const id = String(device[side][key])
      const place = `${oneHost ? 'host' : side}:${id}`
      const user = seen.get(place)
      const here = `the ${side} of \`${device.name}\``
      if (user === undefined) seen.set(place, here)
      else {
        findings.push({
          code: 'profile/device-twice',
          path: [...path, side, key],
          found: `${id} is already ${user}`,
          label: 'named twice',
          remedy: oneHost
            ? 'both sides are on one host; each part needs a device of its own'
            : 'each part needs a device of its own',
        })
      }
    }
  }
  return findings
}

function checkSides({ path, value: device }: Device): ProfileFinding[] {
  const { source, destination } = device
  if ((source.sim === undefined) !== (destination.sim === undefined)) {
    const simulated = source.sim === undefined ? 'destination' : 'source'
    return [
      mismatch(
        [...path, simulated === 'source' ? 'destination' : 'source'],
        device.name,
        `only its ${simulated} is simulated`,
        'a simulated device is simulated on both sides',
      ),
    ]
  }
  if (source.sim === undefined || destination.sim === undefined) return []
  const findings: ProfileFinding[] = []
  if (source.sim.model !== destination.sim.model) {
    findings.push(
      mismatch(
        [...path, 'destination', 'sim', 'model'],
        device.name,
        `the source is a simulated ${source.sim.model}`,
        'the model must be the same on both sides',
      ),
    )
  }
  const [a, b] = [source.sim.window, destination.sim.window]
  if (a.iova !== b.iova || a.size !== b.size) {
    findings.push(
      mismatch(
        [...path, 'destination', 'sim', 'window'],
        device.name,
        `the source's window is ${formatSize(a.size)} at ${hex(a.iova)}`,
        'IOVAs stay the same in a move: give both sides one window',
      ),
    )
  }
  return findings
}

function mismatch(path: Path, name: string, message: string, help: string): ProfileFinding {
  return {
    code: 'profile/sim-mismatch',
    path,
    found: `simulated device \`${name}\`: ${message}`,
    remedy: help,
  }
}

/** Only what no host can offer; what this or that host cannot is the planner's to say. */
function checkChoices({ path, value: device }: Device, forbidAll: boolean): ProfileFinding[] {
  const findings: ProfileFinding[] = []
  const never = (key: string, message: string, help: string): void => {
    findings.push({
      code: 'profile/impossible-choice',
      path: [...path, key],
      found: `device \`${device.name}\`: ${message}`,
      remedy: help,
    })
  }
  const simulated = device.source.sim !== undefined || device.destination.sim !== undefined
  const { backend, tracker } = device
  if (backend === 'sim' && !simulated) {
    never('backend', 'the backend `sim` maps memory for simulated devices only', 'use auto, type1 or iommufd')
  } else if (backend !== 'sim' && backend !== 'auto' && simulated) {
    never('backend', `a simulated device has no ${backend}`, 'use auto or sim')
  } else if (backend === 'iommufd' && tracker === 'pinned') {
    never('tracker', 'there is no pinned-page scope under iommufd', 'use backend type1, or tracker auto')
  } else if (backend === 'type1' && tracker === 'iommu') {
    never('tracker', 'type1 does not read dirty bits from the IOMMU', 'use backend iommufd, or tracker auto')
  }
  if (tracker === 'all' && forbidAll) {
    never(
      'tracker',
      'the tracker `all` is asked for, and trackers.forbidAll forbids it',
      'drop one of the two',
    )
  }
  return findings
}

/** One container is of one backend. */
function checkContainers(devices: readonly Device[]): ProfileFinding[] {
  const first = new Map<string, { readonly name: string; readonly backend: string }>()
  return devices.flatMap(({ path, value: { name, container, backend, source } }) => {
    const kind = source.sim === undefined ? backend : 'sim'
    if (container === null || kind === 'auto') return []
    const owner = first.get(container)
    if (owner === undefined) first.set(container, { name, backend: kind })
    if (owner === undefined || owner.backend === kind) return []
    return [
      {
        code: 'profile/impossible-choice' as const,
        path: [...path, 'container'],
        found: `the container \`${container}\` would be both ${owner.backend} (\`${owner.name}\`) and ${kind}`,
        remedy: 'devices of one container have one backend',
      },
    ]
  })
}

/** Windows and state sizes of simulated devices; `regions` is null when some region could not be read. */
export function checkSims(
  devices: readonly Device[],
  regions: readonly RegionInput[] | null,
): ProfileFinding[] {
  return devices.flatMap(({ path, value: device }) =>
    SIDES.flatMap((side) => {
      const { sim } = device[side]
      if (sim === undefined) return []
      const findings: ProfileFinding[] = []
      const base = [...path, side, 'sim']
      const say = (code: ProfileFinding['code'], key: string, message: string, help: string): void => {
        findings.push({
          code,
          path: [...base, key],
          found: `simulated device \`${device.name}\`: ${message}`,
          remedy: help,
        })
      }
      if (sim.state === 0n) say('profile/sim-state', 'state', 'its state is empty', 'give it at least 1B')
      if (sim.precopy > sim.state) {
        say(
          'profile/sim-state',
          'precopy',
          `it offers ${formatSize(sim.precopy)} of a state of ${formatSize(sim.state)}`,
          'precopy is a part of state',
        )
      }
      const { iova, size } = sim.window
      if (size === 0n || iova % PAGE_BYTES !== 0n || size % PAGE_BYTES !== 0n) {
        say(
          'profile/sim-window',
          'window',
          'its window is not whole 4 KiB pages',
          'align iova and size to 4KiB',
        )
      } else if (regions !== null && !covered(iova, size, regions)) {
        const memory = regions.map(
          (region) => `${region.name} ${hex(region.iova)}..${hex(region.iova + region.size)}`,
        )
        say(
          'profile/sim-window',
          'window',
          `it writes ${hex(iova)}..${hex(iova + size)}, outside the memory`,
          `memory: ${memory.join(', ')}`,
        )
      }
      return findings
    }),
  )
}

/** Whether regions, adjoining ones together, hold all of a range. */
function covered(iova: bigint, size: bigint, regions: readonly RegionInput[]): boolean {
  const sorted = [...regions].sort((a, b) => (a.iova < b.iova ? -1 : 1))
  let reached = iova
  for (const region of sorted) {
    if (region.iova <= reached && region.iova + region.size > reached) reached = region.iova + region.size
  }
  return reached >= iova + size
}
