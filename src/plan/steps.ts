import { iovaText, simSpec } from '../inventory/sim-spec.js'
import type { Inventory } from '../inventory/inventory.js'
import type { DeviceParams, MemoryParams, Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { type PlannedDevice, type PlannedSide, memoryBytes } from './device.js'
import type { PlanContainer, PlanTracker, Step, UndoStep } from './plan.js'
import { plainSize, plural, listed } from '../units.js'
import { helperSocket, recordFolder, RUN_ID } from './sockets.js'

/** Where helpers keep what outlives them. */
export interface StateFolders {
  /**
   * Records of commit and discard go to <stateDir>/records on each host, the sockets of helpers to <stateDir>/sockets
   * and <stateDir>/holders.
   */
  readonly stateDir: string
  /** The destination's, where it is another; else the same. */
  readonly destinationStateDir?: string
}
interface Sides {
  readonly source: Inventory
  readonly destination: Inventory | null
}
interface Planned {
  readonly profile: Profile
  readonly pageSize: number
  readonly devices: readonly PlannedDevice[]
  readonly containers: readonly PlanContainer[]
  readonly trackers: readonly PlanTracker[]
}

const NOTHING = {} as const
const RELEASE: UndoStep = { op: 'release', params: NOTHING }

/**
 * The steps up to dirty logging. Order within a side: claim, memory, containers, devices, maps. A device comes
 * before its container's maps because type1 takes a group before SET_IOMMU and maps only after it; trackers start
 * last, over what is mapped. Both claims come first: they are cheap, and a busy device ends the run there.
 * Listening, connecting and what follows need values of the run (ports, secrets) and are made by the phases.
 */
export function makeSteps(planned: Planned, inventories: Sides, folders: StateFolders): readonly Step[] {
  const roles: readonly Role[] = inventories.destination === null ? ['source'] : ['source', 'destination']
  return [
    ...roles.map((role) => claim(role, planned, inventories, folders)),
    ...roles.flatMap((role) => sideSteps(role, planned, inventories.destination === null)),
    ...track(planned.trackers, planned.profile),
  ]
}

function claim(role: Role, planned: Planned, inventories: Sides, folders: StateFolders): Step {
  const stateDir = stateDirOn(role, folders)
  const sides = sidesOf(role, planned.devices)
  const inventory = role === 'source' ? inventories.source : (inventories.destination ?? inventories.source)
  // A simulated device belongs to the folder of its runs, a real one to the whole host. Where both sides share a
  // folder, each has a device of its own by that name.
  const shared = inventory.host.uid === 0 && sides.some(({ side }) => side.sim === null)
  return {
    phase: 'pin',
    side: role,
    op: 'claim',
    params: {
      role,
      lockDir: shared ? '/run/ferry/locks' : `${stateDir}/locks`,
      devices: sides.map(({ side }) =>
        side.sim === null ? side.id : oneFolder(planned.profile) ? `${side.id}.${role}` : side.id,
      ),
      recordDir: recordFolder(stateDir),
      socket: helperSocket(stateDir, RUN_ID, role),
    },
    undo: RELEASE,
    text: `claim ${listed(sides.map(({ name }) => name))}`,
  }
}

function oneFolder({ destination, source }: Profile): boolean {
  return source.host === destination.host && source.stateDir === destination.stateDir
}

function stateDirOn(role: Role, { destinationStateDir, stateDir }: StateFolders): string {
  return role === 'destination' ? (destinationStateDir ?? stateDir) : stateDir
}

function sideSteps(role: Role, planned: Planned, measure: boolean): Step[] {
  const containers = planned.containers.filter((container) => container.side === role)
  const sides = sidesOf(role, planned.devices)
  const memory = plainSize(memoryBytes(planned.profile))
  const { trackers } = planned.profile
  return [
    memoryStep(role, planned),
    ...containers.map((container): Step => ({
      phase: 'pin',
      side: role,
      op: 'container',
      params: {
        container: container.container,
        backend: container.backend,
        dirtyTracking: container.dirtyTracking,
        ...(container.mixed && container.backend === 'type1' && { mixed: true }),
        ...(container.dirtyTracking && trackers.iommuHugePages === 'keep' && { hugePages: true }),
      },
      text: `open container ${container.container} (${container.backend}${container.dirtyTracking ? ', dirty tracking' : ''}${container.mixed ? ', mixed' : ''})`,
    })),
    // In the profile's order on both sides, however each side is partitioned: the helpers name devices by position.
    ...sides.map(({ name, side }): Step => {
      const container = containers.find(({ devices }) => devices.includes(name))
      if (container === undefined) throw new Error(`no container holds ${name}`)
      return {
        phase: 'pin',
        side: role,
        op: 'device',
        params: {
          device: name,
          container: container.container,
          target: target(side),
          // Without a destination nothing migrates: the devices are mapped and tracked.
          ...(measure && { measure }),
        },
        text: `open ${name} (${side.sim === null ? `${side.kind} ${side.id}` : `simulated ${side.kind}`}) in ${container.container}`,
      }
    }),
    ...containers.map((container): Step => ({
      phase: 'pin',
      side: role,
      op: 'map',
      params: { container: container.container },
      undo: { op: 'unmap', params: { container: container.container } },
      text: `map ${memory} for ${listed(container.devices)} (${container.backend})`,
    })),
  ]
}

function memoryStep(role: Role, { profile, pageSize }: Planned): Step {
  const destination = role === 'destination'
  const params: MemoryParams = {
    pageSize,
    regions: profile.memory.map((region) => {
      const backing = region[role]
      return {
        region: region.name,
        iova: iovaText(region.iova),
        bytes: region.bytes.toString(),
        backing:
          backing.kind === 'file'
            ? { kind: 'file', path: backing.path }
            : {
                kind: 'memfd',
                ...(backing.hugePageBytes === null
                  ? {}
                  : { hugePageBytes: backing.hugePageBytes.toString() }),
              },
        // First touch costs more than the transfer itself, so the destination pays it before the clock starts.
        populate: destination,
        ...(region.fill === null ? {} : { fill: region.fill }),
        ...(region.othersMayTruncate ? { othersMayTruncate: true } : {}),
      }
    }),
  }
  const filled = !destination && profile.memory.some((region) => region.fill !== null)
  return {
    phase: 'pin',
    side: role,
    op: 'memory',
    params,
    text:
      `${destination ? 'allocate and populate' : filled ? 'allocate and fill' : 'open'} ${plainSize(memoryBytes(profile))} ` +
      `in ${plural(profile.memory.length, 'region')}`,
  }
}

function target(side: PlannedSide): DeviceParams['target'] {
  if (side.sim !== null) return { kind: 'sim', spec: simSpec(side.sim) }
  const sysfsPath = side.device?.sysfsPath ?? null
  if (sysfsPath === null) throw new Error(`${side.id} has no sysfs path`)
  return { kind: 'kernel', sysfsPath }
}

function track(trackers: readonly PlanTracker[], profile: Profile): Step[] {
  const { process } = profile.trackers
  if (trackers.length === 0) return []
  return [
    {
      phase: 'dirty-log',
      side: 'source',
      op: 'track',
      params: {
        trackers: trackers.map(({ tracker, kind, device, container }) => ({
          tracker,
          kind,
          ...(device === null ? {} : { device }),
          ...(container === null ? {} : { container }),
          ...(kind === 'process' && process !== null && { process }),
        })),
      },
      undo: { op: 'untrack', params: NOTHING },
      text: `start ${listed(trackers.map((tracker) => tracker.tracker))}`,
    },
  ]
}

function sidesOf(
  role: Role,
  devices: readonly PlannedDevice[],
): { readonly name: string; readonly side: PlannedSide }[] {
  return devices.flatMap((device) => {
    const side = role === 'source' ? device.source : device.destination
    return side === null ? [] : [{ name: device.name, side }]
  })
}
