import { LOCAL_LISTEN } from './checks/hosts.js'
import type { HookInput } from './schema/hook.js'
import { FINAL_POINTS } from '../points.js'
import type { BackingInput, RegionInput } from './schema/memory.js'
import type {
  Backing,
  DeviceRef,
  Hook,
  HostSpec,
  MemoryRegion,
  Profile,
  Sim,
  Then,
  Transport,
} from './profile.js'
import type { SimFault } from '../protocol/protocol.js'
import type { DeviceInput, ProfileInput } from './schema/schema.js'
import type { FaultInput, SimInput } from './schema/sim.js'

/** A checked profile as the rest of ferry works with it. */
export function resolveProfile(input: ProfileInput, file: string): Profile {
  const { source, destination, migration } = input
  return {
    version: 1,
    name: input.name,
    file,
    source: { ...hostOf(source), from: source.from, address: source.address },
    destination: {
      ...hostOf(destination),
      listen:
        destination.listen ?? (destination.interface === null ? LOCAL_LISTEN : { address: '', port: 0 }),
      interface: destination.interface,
      then: toThen(destination.then),
    },
    memory: input.memory.map(toRegion),
    devices: input.devices.map((device) => ({
      name: device.name,
      source: toRef(device.source),
      destination: toRef(device.destination),
      backend: device.backend,
      tracker: device.tracker,
      container: device.container,
    })),
    trackers: input.trackers,
    migration: {
      downtimeLimitMs: migration.downtimeLimit,
      precopy: { maxRounds: migration.precopy.rounds, maxTimeMs: migration.precopy.time },
      onNotConverged: migration.onNotConverged,
      verify: migration.verify,
      bandwidth: migration.bandwidth,
      maxStateBytes: migration.maxState,
      linkTimeoutMs: migration.linkTimeout,
      graceMs: migration.grace,
      hold: migration.hold,
      holdTimeoutMs: migration.holdTimeout,
      holdEnd: migration.holdEnd,
    },
    transport: toTransport(input.transport),
    hooks: input.hooks.map(toHook),
    handOut: input.handOut,
    releaseSource: input.releaseSource ?? (source.from === 'holder' ? 'by-hand' : 'on-commit'),
  }
}

function hostOf({ become, helper, host, stateDir }: HostSpec): HostSpec {
  return { host, helper, become, stateDir }
}

function toThen(then: ProfileInput['destination']['then']): Then {
  return typeof then === 'string' ? { kind: then } : { kind: 'exec', command: then.exec }
}

function toTransport(transport: ProfileInput['transport']): Transport {
  const { insecure, keepalive, loopback, maxStreams, streams } = transport
  return {
    encrypt: insecure === null && !loopback,
    insecure,
    loopback,
    streams,
    maxStreams: Math.max(maxStreams ?? streams, streams),
    keepaliveMs: keepalive,
  }
}

function toHook({ at, command, inBlackout, name, on, onFailure, timeout }: HookInput): Hook {
  const final = (FINAL_POINTS as readonly string[]).includes(at)
  return {
    ...{ name, at, on, command, timeoutMs: timeout, inBlackout },
    onFailure: onFailure ?? (final ? 'warn' : 'abort'),
  }
}

function toRegion(region: RegionInput): MemoryRegion {
  const { backing } = region
  const both = backing === 'memfd' ? backing : undefined
  return {
    name: region.name,
    iova: region.iova,
    bytes: region.size,
    source: toBacking(both ?? (backing as { source?: BackingInput }).source ?? backing),
    destination: toBacking(both ?? (backing as { destination?: BackingInput }).destination ?? backing),
    othersMayTruncate: region.othersMayTruncate,
    fill: region.fill && { seed: region.fill.seed, zeroPercent: region.fill.zero },
  }
}

const HUGE_PAGES = { '2MiB': 2n * 1024n ** 2n, '1GiB': 1024n ** 3n } as const

function toBacking(backing: BackingInput): Backing {
  if (backing !== 'memfd' && backing.file !== undefined) return { kind: 'file', path: backing.file }
  const hugePages = backing === 'memfd' ? null : (backing.memfd?.hugePages ?? null)
  return { kind: 'memfd', hugePageBytes: hugePages === null ? null : HUGE_PAGES[hugePages] }
}

function toRef(ref: DeviceInput['source']): DeviceRef {
  if (ref.mdev !== undefined) return { kind: 'mdev', uuid: ref.mdev }
  if (ref.function !== undefined) return { kind: 'function', bdf: ref.function }
  // The schema lets nothing else through.
  if (ref.sim === undefined) throw new TypeError('a device reference without a device')
  return { kind: 'sim', sim: toSim(ref.sim) }
}

function toSim(input: SimInput): Sim {
  return {
    model: input.model,
    flags: input.flags,
    trackers: input.trackers ?? (input.model === 'mdev' ? ['pinned'] : ['device']),
    stateBytes: input.state,
    precopyBytes: input.precopy,
    stateBytesPerSecond: input.stateRate,
    seed: input.seed,
    window: { iova: input.window.iova, bytes: input.window.size },
    writeBytesPerSecond: input.writes,
    pattern: input.pattern,
    latencyUs: input.latency as Sim['latencyUs'],
    faults: input.faults.map(toFault),
  }
}

function toFault(fault: FaultInput): SimFault {
  switch (fault.kind) {
    case 'transition': {
      const { nth, errno, enterError } = fault
      return {
        kind: fault.kind,
        state: fault.state,
        ...(nth !== undefined && { nth }),
        ...(errno !== undefined && { errno }),
        ...(enterError !== undefined && { enterError }),
      }
    }
    case 'short-stream':
    case 'short-reads':
      return { kind: fault.kind, bytes: fault.bytes.toString() }
    case 'slow-stop':
      return { kind: fault.kind, delayUs: fault.delay }
    default:
      return fault
  }
}
