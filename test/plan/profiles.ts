/** Profiles as the loader gives them, built in code. */
import type { DeviceTracker, BackendKind } from '../../src/protocol/protocol.js'
import type { MemoryRegion, Profile, ProfileDevice, Sim } from '../../src/profile/profile.js'

export const MIB = 1024n * 1024n

export function sim(over: Partial<Sim> = {}): Sim {
  const model = over.model ?? 'mdev'
  return {
    model,
    flags: ['stop-copy', 'p2p', 'pre-copy'],
    trackers: model === 'mdev' ? ['pinned'] : ['device', 'iommu'],
    stateBytes: 8n * MIB,
    precopyBytes: 6n * MIB,
    stateBytesPerSecond: null,
    seed: 7,
    window: { iova: 0n, bytes: 4n * MIB },
    writeBytesPerSecond: 50n * MIB,
    pattern: 'uniform',
    latencyUs: {},
    faults: [],
    ...over,
  }
}

export interface Wishes {
  readonly backend?: BackendKind | 'auto'
  readonly tracker?: DeviceTracker | 'auto'
  readonly container?: string | null
}

export function simDevice(name: string, over: Partial<Sim> = {}, wishes: Wishes = {}): ProfileDevice {
  const ref = { kind: 'sim', sim: sim(over) } as const
  return { name, source: ref, destination: ref, ...defaults(wishes) }
}

export function realDevice(
  name: string,
  kind: 'mdev' | 'function',
  from: string,
  to: string,
  wishes: Wishes = {},
): ProfileDevice {
  const ref = (id: string) => (kind === 'mdev' ? ({ kind, uuid: id } as const) : ({ kind, bdf: id } as const))
  return { name, source: ref(from), destination: ref(to), ...defaults(wishes) }
}

function defaults(wishes: Wishes) {
  return { backend: 'auto', tracker: 'auto', container: null, ...wishes } as const
}

export function region(over: Partial<MemoryRegion> = {}): MemoryRegion {
  return {
    name: 'ram',
    iova: 0n,
    bytes: 512n * MIB,
    source: { kind: 'memfd', hugePageBytes: null },
    destination: { kind: 'memfd', hugePageBytes: null },
    othersMayTruncate: false,
    fill: null,
    ...over,
  }
}

/** This host, everything as it is by default. */
export const LOCAL = { host: 'local', helper: null, become: null, stateDir: null } as const
const SOURCE: Profile['source'] = { ...LOCAL, from: 'open', address: null }
const DESTINATION: Profile['destination'] = {
  ...LOCAL,
  listen: { address: '127.0.0.1', port: 0 },
  interface: null,
  then: { kind: 'close' },
}

/** A destination that is another host. */
export function elsewhere(host = 'b', address = '192.0.2.7'): Profile['destination'] {
  return { ...DESTINATION, host, listen: { address, port: 0 } }
}

export function profile(devices: readonly ProfileDevice[], over: Partial<Profile> = {}): Profile {
  return {
    version: 1,
    name: 'test',
    file: 'test.yaml',
    source: SOURCE,
    destination: DESTINATION,
    memory: [region()],
    devices,
    trackers: {
      prefer: 'device',
      forbidAll: false,
      mixedContainers: 'refuse',
      iommuHugePages: 'split',
      process: null,
    },
    migration: {
      downtimeLimitMs: 300,
      precopy: { maxRounds: 30, maxTimeMs: 60_000 },
      onNotConverged: 'cancel',
      verify: 'none',
      bandwidth: null,
      maxStateBytes: null,
      linkTimeoutMs: 5000,
      graceMs: null,
      hold: null,
      holdTimeoutMs: null,
      holdEnd: 'cancel',
    },
    transport: {
      encrypt: false,
      insecure: null,
      loopback: true,
      streams: 1,
      maxStreams: 1,
      keepaliveMs: 6000,
    },
    hooks: [],
    handOut: null,
    releaseSource: 'on-commit',
    ...over,
  }
}
