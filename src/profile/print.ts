/** A resolved profile as YAML again, every default written out; reading it back gives the same profile. */
import { stringify } from 'yaml'
import type { SimFault } from '../protocol/protocol.js'
import { formatListen } from './schema/address.js'
import type { Backing, DeviceRef, MemoryRegion, Profile, Sim, Transport } from './profile.js'
import { formatRate, formatSize, formatTime } from './schema/quantity.js'

export function printProfile(profile: Profile): string {
  const { destination, migration } = profile
  const ms = (value: number): string => formatTime(value * 1000)
  const document = {
    version: profile.version,
    name: profile.name,
    source: profile.source,
    destination: {
      ...destination,
      // An interface stands for an address that is not looked up yet.
      listen: destination.interface === null ? formatListen(destination.listen) : undefined,
      then: destination.then.kind === 'exec' ? { exec: destination.then.command } : destination.then.kind,
    },
    memory: profile.memory.map(region),
    devices: profile.devices.map((device) => ({
      ...device,
      source: reference(device.source),
      destination: reference(device.destination),
    })),
    trackers: profile.trackers,
    migration: {
      downtimeLimit: ms(migration.downtimeLimitMs),
      precopy: { rounds: migration.precopy.maxRounds, time: ms(migration.precopy.maxTimeMs) },
      onNotConverged: migration.onNotConverged,
      verify: migration.verify,
      bandwidth: migration.bandwidth === null ? null : formatRate(migration.bandwidth),
      maxState: migration.maxStateBytes === null ? null : formatSize(migration.maxStateBytes),
      linkTimeout: ms(migration.linkTimeoutMs),
      grace: migration.graceMs === null ? null : ms(migration.graceMs),
      hold: migration.hold,
      holdTimeout: migration.holdTimeoutMs === null ? null : ms(migration.holdTimeoutMs),
      holdEnd: migration.holdEnd,
    },
    transport: transport(profile.transport),
    hooks: profile.hooks.map(({ timeoutMs, ...hook }) => ({ ...hook, timeout: ms(timeoutMs) })),
    handOut: profile.handOut,
    releaseSource: profile.releaseSource,
  }
  return stringify(document, escapeDollar, { aliasDuplicateObjects: false, lineWidth: 0 })
}

/** What was interpolated once must not be interpolated again. */
function escapeDollar(_key: unknown, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('$', '$$$$') : value
}

/** Whether it is encrypted follows from the rest. */
function transport({ insecure, keepaliveMs, loopback, maxStreams, streams }: Transport): object {
  return { insecure, loopback, streams, maxStreams, keepalive: formatTime(keepaliveMs * 1000) }
}

function region({ name, iova, bytes, source, destination, othersMayTruncate, fill }: MemoryRegion): object {
  return {
    name,
    iova: `0x${iova.toString(16)}`,
    size: formatSize(bytes),
    backing: { source: backing(source), destination: backing(destination) },
    othersMayTruncate,
    fill: fill && { seed: fill.seed, zero: `${fill.zeroPercent}%` },
  }
}

function backing(from: Backing): unknown {
  if (from.kind === 'file') return { file: from.path }
  return from.hugePageBytes === null ? 'memfd' : { memfd: { hugePages: formatSize(from.hugePageBytes) } }
}

function reference(ref: DeviceRef): object {
  switch (ref.kind) {
    case 'mdev':
      return { mdev: ref.uuid }
    case 'function':
      return { function: ref.bdf }
    case 'sim':
      return { sim: sim(ref.sim) }
  }
}

function sim(from: Sim): object {
  return {
    model: from.model,
    flags: from.flags,
    trackers: from.trackers,
    state: formatSize(from.stateBytes),
    precopy: formatSize(from.precopyBytes),
    stateRate: from.stateBytesPerSecond === null ? null : formatRate(from.stateBytesPerSecond),
    seed: from.seed,
    window: { iova: `0x${from.window.iova.toString(16)}`, size: formatSize(from.window.bytes) },
    writes: formatRate(from.writeBytesPerSecond),
    pattern: from.pattern,
    latency: Object.fromEntries(Object.entries(from.latencyUs).map(([state, us]) => [state, formatTime(us)])),
    faults: from.faults.map(fault),
  }
}

function fault(from: SimFault): object {
  switch (from.kind) {
    case 'short-stream':
    case 'short-reads':
      return { kind: from.kind, bytes: formatSize(BigInt(from.bytes)) }
    case 'slow-stop':
      return { kind: from.kind, delay: formatTime(from.delayUs) }
    default:
      return from
  }
}
