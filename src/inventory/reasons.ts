import type { Reason } from './inventory.js'

/**
 * Every cause for which a device cannot migrate, or for which it could not be decided. The codes are stable:
 * scripts branch on them, docs/codes.md lists them, a test holds the list complete.
 *
 * `weight` says what the cause does to `migratable`: `no` makes it false; `unseen` makes it null, because the
 * device may well be able to migrate and only could not be asked.
 */
export const REASON_CODES = {
  'no-iommu': {
    layer: 'iommu',
    weight: 'no',
    summary: 'the host has no IOMMU in use, so a physical function cannot be given to user space safely',
  },
  'no-group': { layer: 'group', weight: 'no', summary: 'the device belongs to no IOMMU group' },
  'noiommu-group': {
    layer: 'group',
    weight: 'no',
    summary: 'the device is in noiommu mode: nothing maps or tracks its memory',
  },
  'group-not-viable': {
    layer: 'group',
    weight: 'no',
    summary: 'another device of the group is bound to a host driver that does its own DMA',
  },
  'not-bound': { layer: 'driver', weight: 'no', summary: 'no driver is bound to the device' },
  'wrong-driver': { layer: 'driver', weight: 'no', summary: 'a host driver is bound, not a VFIO driver' },
  'generic-driver': {
    layer: 'migration',
    weight: 'no',
    summary: 'plain vfio-pci is bound; it has no migration support for any device',
  },
  'driver-without-migration': {
    layer: 'migration',
    weight: 'no',
    summary: 'the VFIO driver bound to the device does not implement migration v2 for it',
  },
  'no-stop-copy': {
    layer: 'migration',
    weight: 'no',
    summary: 'the driver offers migration without STOP_COPY, which is mandatory',
  },
  'in-error': {
    layer: 'migration',
    weight: 'no',
    summary: 'the device is in migration state ERROR, which only a reset ends',
  },
  'no-node': {
    layer: 'host',
    weight: 'no',
    summary: 'the device has neither a group node nor a cdev node to open',
  },
  'no-cdev': {
    layer: 'host',
    weight: 'no',
    summary: 'the host offers iommufd only, and the device has no cdev node',
  },
  'no-group-node': {
    layer: 'host',
    weight: 'no',
    summary: 'the host offers type1 containers only, and the group has no node',
  },
  'no-backend': { layer: 'host', weight: 'no', summary: 'the host has neither type1 containers nor iommufd' },
  busy: {
    layer: 'driver',
    weight: 'unseen',
    summary: 'another process holds the device open, so it was not asked',
  },
  'no-permission': {
    layer: 'host',
    weight: 'unseen',
    summary: 'this user is not allowed to open the device',
  },
  'not-probed': { layer: 'driver', weight: 'unseen', summary: 'the device was not opened to ask it' },
  'probe-failed': {
    layer: 'driver',
    weight: 'unseen',
    summary: 'opening the device to ask it failed',
  },
} as const satisfies Record<
  string,
  { readonly layer: Reason['layer']; readonly weight: 'no' | 'unseen'; readonly summary: string }
>

export type ReasonCode = keyof typeof REASON_CODES

/** A reason in the shape of the contract; the layer comes from the table. */
export function reason(code: ReasonCode, found: string, remedy: string): Reason {
  return { code, layer: REASON_CODES[code].layer, found, remedy }
}

/** True when the reason says no; false when it only says that something could not be seen. */
export function isRefusal(of: Reason): boolean {
  return !(of.code in REASON_CODES) || REASON_CODES[of.code as ReasonCode].weight === 'no'
}
