import type { DeviceFacts } from '../protocol/protocol.js'

/**
 * vfio-pci variant drivers that implement migration v2, and the functions they bind to. Ids are those of each
 * driver's own table in Linux 6.12 (drivers/vfio/pci/*); virtio_vfio_pci and xe_vfio_pci came later (6.13, 6.19),
 * igb-vfio-pci is out of tree. Used to name the driver an operator should bind, never to decide what a device can
 * do: that is asked of the device.
 */
export interface VariantDriver {
  readonly driver: string
  /** PCI ids in lower-case hex without "0x"; devices null: every device of the vendor in that class. */
  readonly vendor: string
  readonly devices: readonly string[] | null
  /** Base class (first byte of the class code); null: any. */
  readonly baseClass: string | null
  readonly since: string
  /** Physical and virtual functions share these ids; only the virtual ones migrate. */
  readonly sharesId?: true
}

export const VARIANT_DRIVERS: readonly VariantDriver[] = [
  { driver: 'mlx5_vfio_pci', vendor: '15b3', devices: ['101e'], baseClass: null, since: 'Linux 5.18' },
  {
    driver: 'hisi_acc_vfio_pci',
    vendor: '19e5',
    devices: ['a251', 'a256', 'a259'],
    baseClass: null,
    since: 'Linux 5.18',
  },
  { driver: 'pds_vfio_pci', vendor: '1dd8', devices: ['1003'], baseClass: null, since: 'Linux 6.6' },
  {
    driver: 'qat_vfio_pci',
    vendor: '8086',
    devices: ['4941', '4943', '4945'],
    baseClass: null,
    since: 'Linux 6.10',
  },
  {
    driver: 'virtio_vfio_pci',
    vendor: '1af4',
    devices: ['1041', '1042'],
    baseClass: null,
    since: 'Linux 6.13, block devices 6.15',
    sharesId: true,
  },
  {
    driver: 'xe_vfio_pci',
    vendor: '8086',
    devices: null,
    baseClass: '03',
    since: 'Linux 6.19',
    sharesId: true,
  },
  { driver: 'igb-vfio-pci', vendor: '8086', devices: ['10ca'], baseClass: null, since: 'out of tree' },
]

/** The kernel treats "-" and "_" in module names alike, and drivers spell theirs both ways. */
export function sameDriver(a: string, b: string): boolean {
  return a.replaceAll('-', '_') === b.replaceAll('-', '_')
}

/** The variant driver known to give this function migration, or null. */
export function variantDriverFor(
  facts: Pick<DeviceFacts, 'vendor' | 'device' | 'class'>,
): VariantDriver | null {
  const vendor = hex(facts.vendor)
  const device = hex(facts.device)
  const baseClass = hex(facts.class)?.slice(0, 2) ?? null
  return (
    VARIANT_DRIVERS.find(
      (known) =>
        known.vendor === vendor &&
        (known.devices === null || (device !== null && known.devices.includes(device))) &&
        (known.baseClass === null || known.baseClass === baseClass),
    ) ?? null
  )
}

/** True for drivers of the VFIO family: vfio-pci, its variants, and others that say so in their name. */
export function isVfioDriver(driver: string): boolean {
  return /(^|[-_])vfio([-_]|$)/.test(driver)
}

/** "vendor:device" for people, or "unknown". */
export function pciId(facts: Pick<DeviceFacts, 'vendor' | 'device'>): string {
  return `${hex(facts.vendor) ?? '????'}:${hex(facts.device) ?? '????'}`
}

/** sysfs writes "0x15b3", lspci "15b3"; both are accepted. */
function hex(value: string | null): string | null {
  return value === null ? null : value.toLowerCase().replace(/^0x/, '')
}
