/**
 * Inventory replies as helpers give them, in the shape a 6.12 kernel showed: mtty mdevs, QEMU's edu function, an
 * SR-IOV virtual function, groups that are not viable, noiommu, simulated devices.
 */
import type { DeviceFacts, HostFacts, InventoryReply } from '../../src/protocol/protocol.js'

export const UUID_A = 'b1a5e000-0000-4000-8000-00000000000a'
export const UUID_B = 'b1a5e000-0000-4000-8000-00000000000b'
export const EDU = '0000:00:04.0'
export const VF_A = '0000:3b:00.2'
export const VF_B = '0000:5e:00.2'

export function host(over: Partial<HostFacts> = {}): HostFacts {
  return {
    hostname: 'lab',
    kernel: '6.12.95',
    uid: 0,
    pageSize: 4096,
    memlockBytes: null,
    memoryAvailableBytes: String(16n << 30n),
    type1: true,
    iommufd: true,
    iommuPresent: true,
    noiommuEnabled: false,
    ...over,
  }
}

/** mtty-2 as measured: flags 7, 96 bytes, an emulated singleton group, a DMA log that is a stub. */
export function mtty(id = UUID_A, over: Partial<DeviceFacts> = {}): DeviceFacts {
  return {
    id,
    kind: 'mdev',
    simulated: false,
    sysfsPath: `/sys/devices/virtual/mtty/mtty/${id}`,
    physicalFunction: null,
    virtualFunctions: 0,
    vendor: null,
    device: null,
    class: null,
    mdevType: 'mtty-2',
    mdevParent: 'mtty',
    driver: 'vfio_mtty',
    group: {
      id: id === UUID_B ? '9' : '8',
      node: `/dev/vfio/${id === UUID_B ? '9' : '8'}`,
      type: 'unknown',
      iommu: 'emulated',
      members: [{ id, driver: 'vfio_mtty', blocksGroup: false }],
      viable: true,
    },
    cdev: { name: 'vfio0', node: '/dev/vfio/devices/vfio0' },
    migration: {
      supported: true,
      flags: ['stop-copy', 'p2p', 'pre-copy'],
      state: 'RUNNING',
      stateBytes: '96',
    },
    trackers: [
      { kind: 'pinned', available: true },
      { kind: 'device', available: true, reason: 'mtty accepts it but logs nothing: the device does no DMA' },
      { kind: 'iommu', available: false, reason: 'an mdev has no IOMMU page table' },
      { kind: 'all', available: true },
    ],
    probe: { done: true, via: 'group' },
    ...over,
  }
}

/** QEMU's edu function bound to plain vfio-pci: no migration, no trackers. */
export function edu(over: Partial<DeviceFacts> = {}): DeviceFacts {
  return {
    id: EDU,
    kind: 'function',
    simulated: false,
    sysfsPath: `/sys/devices/pci0000:00/${EDU}`,
    physicalFunction: null,
    virtualFunctions: 0,
    vendor: '0x1234',
    device: '0x11e8',
    class: '0x00ff00',
    mdevType: null,
    mdevParent: null,
    driver: 'vfio-pci',
    group: {
      id: '3',
      node: '/dev/vfio/3',
      type: 'identity',
      iommu: 'physical',
      members: [{ id: EDU, driver: 'vfio-pci', blocksGroup: false }],
      viable: true,
    },
    cdev: { name: 'vfio1', node: '/dev/vfio/devices/vfio1' },
    migration: { supported: false, flags: [], state: null, stateBytes: null },
    trackers: [
      { kind: 'pinned', available: false, reason: 'its group is physical' },
      { kind: 'device', available: false, reason: 'the driver has no DMA log (ENOTTY)' },
      { kind: 'iommu', available: false, reason: 'the IOMMU has no dirty tracking (EOPNOTSUPP)' },
      { kind: 'all', available: true },
    ],
    probe: { done: true, via: 'group' },
    ...over,
  }
}

/** edu as it boots: no driver, so no cdev, no group node and nothing to ask. */
export function eduUnbound(over: Partial<DeviceFacts> = {}): DeviceFacts {
  const bound = edu()
  return {
    ...bound,
    driver: null,
    group: {
      ...bound.group!,
      node: null,
      members: [{ id: EDU, driver: null, blocksGroup: false }],
    },
    cdev: null,
    migration: null,
    trackers: [],
    probe: { done: false, skipped: 'not-bound' },
    ...over,
  }
}

/** A ConnectX virtual function bound to its variant driver, with a DMA log in firmware. */
export function mlx5Vf(id = VF_A, over: Partial<DeviceFacts> = {}): DeviceFacts {
  const group = id === VF_A ? '41' : '57'
  return {
    id,
    kind: 'function',
    simulated: false,
    sysfsPath: `/sys/devices/pci0000:3a/${id}`,
    physicalFunction: id.replace(/\.\d$/, '.0'),
    virtualFunctions: 0,
    vendor: '0x15b3',
    device: '0x101e',
    class: '0x020000',
    mdevType: null,
    mdevParent: null,
    driver: 'mlx5_vfio_pci',
    group: {
      id: group,
      node: `/dev/vfio/${group}`,
      type: 'DMA-FQ',
      iommu: 'physical',
      members: [{ id, driver: 'mlx5_vfio_pci', blocksGroup: false }],
      viable: true,
    },
    cdev: { name: 'vfio2', node: '/dev/vfio/devices/vfio2' },
    migration: {
      supported: true,
      flags: ['stop-copy', 'p2p', 'pre-copy'],
      state: 'RUNNING',
      stateBytes: String(12n << 20n),
    },
    trackers: [
      { kind: 'device', available: true },
      { kind: 'iommu', available: true },
      { kind: 'all', available: true },
    ],
    probe: { done: true, via: 'cdev' },
    ...over,
  }
}

/** A function whose group also holds a disk that a host driver uses. */
export function nonViable(): DeviceFacts {
  const vf = mlx5Vf()
  return {
    ...vf,
    group: {
      ...vf.group!,
      viable: false,
      members: [
        { id: VF_A, driver: 'mlx5_vfio_pci', blocksGroup: false },
        { id: '0000:3b:00.0', driver: 'nvme', blocksGroup: true },
        { id: '0000:3a:00.0', driver: 'pcieport', blocksGroup: false },
      ],
    },
    probe: { done: false, skipped: 'failed' },
    migration: null,
  }
}

/** vfio-pci with enable_unsafe_noiommu_mode: a vfio-dev directory without a node. */
export function noiommu(): DeviceFacts {
  return edu({
    group: {
      id: '0',
      node: '/dev/vfio/noiommu-0',
      type: 'unknown',
      iommu: 'noiommu',
      members: [{ id: EDU, driver: 'vfio-pci', blocksGroup: false }],
      viable: true,
    },
    cdev: { name: 'vfio0', node: null },
    migration: null,
    probe: { done: false, skipped: 'not-asked' },
  })
}

/** A simulated device as the helper lists it. */
export function simulated(
  id: string,
  kind: 'mdev' | 'function',
  over: Partial<DeviceFacts> = {},
): DeviceFacts {
  return {
    id,
    kind,
    simulated: true,
    sysfsPath: null,
    physicalFunction: null,
    virtualFunctions: 0,
    vendor: null,
    device: null,
    class: null,
    mdevType: null,
    mdevParent: null,
    driver: null,
    group: null,
    cdev: null,
    migration: {
      supported: true,
      flags: ['stop-copy', 'p2p', 'pre-copy'],
      state: 'RUNNING',
      stateBytes: String(8n << 20n),
    },
    trackers: [{ kind: kind === 'mdev' ? 'pinned' : 'device', available: true }],
    probe: { done: true, via: 'sim' },
    ...over,
  }
}

export function reply(
  devices: readonly DeviceFacts[],
  hostOver: Partial<HostFacts> = {},
  unseen: readonly string[] = [],
): InventoryReply {
  return { host: host(hostOver), devices, unseen }
}
