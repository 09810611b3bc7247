/** Profiles of simulated workloads, small enough to move in a fraction of a second. */
import type { DeviceState } from '../../src/protocol/protocol.js'

export type Fault = Readonly<Record<string, unknown>> & { readonly kind: string }

/** The `sim:` block of a profile. */
export interface Sim {
  readonly model: 'mdev' | 'function'
  readonly trackers: readonly string[]
  readonly flags: readonly string[]
  readonly state: string
  readonly precopy: string
  readonly stateRate?: string
  readonly seed: number
  readonly window: { readonly iova: string | number; readonly size: string }
  readonly writes: string
  readonly pattern: 'uniform' | 'hot' | 'sequential'
  readonly latency: Partial<Record<DeviceState, string>>
  readonly faults: readonly Fault[]
}
export interface Device {
  readonly name: string
  readonly source: { readonly sim: Sim }
  readonly destination: { readonly sim: Sim }
  readonly tracker?: string
}
/** A profile, as far as these tests write one. */
export interface Workload {
  readonly version: 1
  readonly name: string
  readonly source?: Readonly<Record<string, unknown>>
  readonly destination?: Readonly<Record<string, unknown>>
  readonly memory: readonly Readonly<Record<string, unknown>>[]
  readonly devices: readonly Device[]
  readonly migration: Readonly<Record<string, unknown>>
  readonly transport: Readonly<Record<string, unknown>>
}

const NIC: Sim = {
  model: 'function',
  trackers: ['device'],
  flags: ['stop-copy', 'p2p', 'pre-copy'],
  state: '1MiB',
  precopy: '256KiB',
  seed: 12,
  window: { iova: 0, size: '8MiB' },
  writes: '8MiB/s',
  pattern: 'uniform',
  latency: {},
  faults: [],
}

/** What differs on one side only. */
export interface Sides {
  readonly source?: Partial<Sim>
  readonly destination?: Partial<Sim>
}

export function device(name: string, sim: Partial<Sim> = {}, sides: Sides = {}): Device {
  return {
    name,
    source: { sim: { ...NIC, ...sim, ...sides.source } },
    destination: { sim: { ...NIC, ...sim, ...sides.destination } },
  }
}

export function region(name: string, iova: string | number, size: string, more: object = {}) {
  return { name, iova, size, backing: 'memfd', fill: { seed: 3, zero: '25%' }, ...more }
}

/** 16 MiB and one function, unless said otherwise. Limits are wide: a busy machine must not decide a test. */
export function workload(
  devices: readonly Device[] = [device('nic')],
  more: Partial<Omit<Workload, 'devices' | 'version'>> = {},
): Workload {
  return {
    version: 1,
    name: 'small',
    memory: [region('ram', 0, '16MiB')],
    transport: { loopback: true },
    ...more,
    // Helpers end with the run, unless a test is about those that stay.
    destination: { then: 'close', ...more.destination },
    devices,
    migration: {
      downtimeLimit: '10s',
      precopy: { rounds: 20, time: '20s' },
      verify: 'full',
      ...more.migration,
    },
  }
}

/** One function with faults on one side. */
export function faulty(side: 'source' | 'destination', faults: readonly Fault[], sim: Partial<Sim> = {}) {
  return device('nic', sim, { [side]: { faults } })
}
