// A guest with two or more of each DMA device: what most of the DMA tests need.
import {
  bindFunctions,
  createMdevs,
  eduDevices,
  loadModules,
  type DmaDevice,
  type DmaKind,
  type Program,
} from './dma.js'
import { Guest, type GuestOptions } from './guest.js'
import { MIB } from './workload.js'

export interface DmaGuest {
  readonly guest: Guest
  readonly devices: Readonly<Record<DmaKind, readonly DmaDevice[]>>
}

/** `pairs`: of each kind. The edu that every guest has keeps its 28-bit address mask and is left alone. */
export async function bootDmaGuest(pairs = 1, options: GuestOptions = {}): Promise<DmaGuest> {
  const guest = await Guest.boot({ ...options, devices: eduDevices(2 * pairs) })
  await loadModules(guest, 2 * pairs, 2 * pairs)
  const mdev = await createMdevs(guest, 'mdev', 2 * pairs)
  const logged = await createMdevs(guest, 'logged-mdev', 2 * pairs)
  const edu = (await bindFunctions(guest, 'edu')).slice(-2 * pairs)
  const [dirty, both] = [await bindFunctions(guest, 'dirty'), await bindFunctions(guest, 'both')]
  return { guest, devices: { mdev, 'logged-mdev': logged, edu, dirty, both } }
}

/** The n-th pair of a kind: source and destination. */
export function pair(lab: DmaGuest, kind: DmaKind, index = 0): { from: DmaDevice; to: DmaDevice } {
  const [from, to] = lab.devices[kind].slice(2 * index, 2 * index + 2)
  if (from === undefined || to === undefined)
    throw new Error(`the guest has no pair ${String(index)} of ${kind}`)
  return { from, to }
}

/** Writes for as long as anybody watches. An edu manages some five pages a second whatever it is told. */
export const LOAD: Program = {
  ...{ slot: 0, seed: 1, window: 2n * MIB, bytes: 8n * MIB },
  ...{ pattern: 'uniform', rate: 4 * 1024 * 1024, state: 64 * 1024 },
}

/**
 * For tests that run two at a time (`describe.concurrent`; vitest.config.ts says how many): each gets a number no other
 * has meanwhile, and with it devices of its own. Most of a run is one program waiting for another.
 */
export class Lanes {
  readonly count = 2
  readonly #free = Array.from({ length: this.count }, (_, lane) => lane)

  async use<T>(test: (lane: number) => Promise<T>): Promise<T> {
    const lane = this.#free.pop()
    if (lane === undefined) throw new Error('more tests at a time than lanes: see maxConcurrency')
    try {
      return await test(lane)
    } finally {
      this.#free.push(lane)
    }
  }
}

/** Every fault off, every flag and quirk as a device has them after it was made. */
export const NEUTRAL = {
  ...{ fail_transition: '"0 0"', error_transition: 0, stall_transition: '"0 0"', stall_report: '"0 0"' },
  ...{
    short_stream: 0,
    endless_stream: 0,
    blocked_stream: 0,
    load_error: 0,
    precopy_end: 42,
    validate: 1,
    hold: 0,
    log_error: 0,
    flags: 7,
  },
  ...{ drop_dirty: '0xffffffffffffffff', log_max_ranges: 256, log_min_page: 4096, log_max_page: 1 << 30 },
  log_report_rule: 0,
} as const
