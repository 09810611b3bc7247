/** Profiles as the loader gives them, built in code. */
import type { TrackerKind, BackendKind } from '../../src/link/protocol.js'
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
  readonly tracker?: TrackerKind | 'auto'
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
    fill: null,
    ...over,
  }
}

export function profile(devices: readonly ProfileDevice[], over: Partial<Profile> = {}): Profile {
  return {
    version: 1,
    name: 'test',
    file: 'test.yaml',
    source: { host: 'local', helper: null },
    destination: { host: 'local', helper: null, listen: { address: '127.0.0.1', port: 0 } },
    memory: [region()],
    devices,
    trackers: { prefer: 'device', forbidAll: false, mixedContainers: 'refuse', iommuHugePages: 'split' },
    migration: {
      downtimeLimitMs: 300,
      precopy: { maxRounds: 30, maxTimeMs: 60_000 },
      onNotConverged: 'give-up',
      verify: 'none',
      bandwidth: null,
      linkTimeoutMs: 5000,
    },
    transport: { encrypt: false, streams: 1 },
    ...over,
  }
}
