// A guest with two or more of each DMA device: what most of the DMA tests need.
import {
  bindFunctions,
  createMdev,
  eduDevices,
  loadModules,
  type DmaDevice,
  type DmaKind,
  type Program,
} from './dma.js'
import { Guest } from './guest.js'
import { MIB } from './workload.js'

export interface DmaGuest {
  readonly guest: Guest
  readonly devices: Readonly<Record<DmaKind, readonly DmaDevice[]>>
}

/** `pairs`: of each kind. The edu that every guest has keeps its 28-bit address mask and is left alone. */
export async function bootDmaGuest(pairs = 1): Promise<DmaGuest> {
  const guest = await Guest.boot({ devices: eduDevices(2 * pairs) })
  await loadModules(guest, 2 * pairs, 2 * pairs)
  const mdevs = { mdev: [] as DmaDevice[], 'logged-mdev': [] as DmaDevice[] }
  for (const kind of ['mdev', 'logged-mdev'] as const)
    for (let index = 0; index < 2 * pairs; index++) mdevs[kind].push(await createMdev(guest, kind))
  const edu = (await bindFunctions(guest, 'edu')).slice(-2 * pairs)
  const [dirty, both] = [await bindFunctions(guest, 'dirty'), await bindFunctions(guest, 'both')]
  return { guest, devices: { ...mdevs, edu, dirty, both } }
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
