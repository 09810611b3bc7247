/** A host that lacks nothing, to take things away from. */
import type { HelloReply } from '../../src/protocol/protocol.js'
import type { ScriptFacts } from '../../src/doctor/facts.js'

export const GIB = 1024n ** 3n

export const SOUND: ScriptFacts = {
  uid: 0,
  user: 'root',
  hostname: 'node-b',
  system: 'Linux',
  machine: 'x86_64',
  kernel: '6.12.0',
  capabilities: 0x1ffffffffffn,
  configFile: '/boot/config-6.12.0',
  options: new Map([
    ['VFIO', 'm'],
    ['VFIO_PCI', 'm'],
    ['VFIO_IOMMU_TYPE1', 'm'],
    ['VFIO_MDEV', 'm'],
    ['IOMMUFD', 'y'],
    ['VFIO_DEVICE_CDEV', 'y'],
  ]),
  modules: new Map([
    ['vfio', 'loaded'],
    ['vfio-pci', 'loaded'],
    ['vfio_iommu_type1', 'loaded'],
    ['iommufd', 'builtin'],
    ['mdev', 'loaded'],
  ]),
  container: { state: 'usable' },
  iommufd: { state: 'usable' },
  groups: 2,
  cdevs: 2,
  devices: 2,
  mdevs: 1,
  iommus: 1,
  iommuGroups: 20,
  memlockBytes: null,
  memoryBytes: 64n * GIB,
  memoryAvailableBytes: 48n * GIB,
  hugePages: [{ pageBytes: 2n * 1024n * 1024n, free: 0n, total: 0n }],
  state: {
    above: '/var/lib/ferry',
    writable: true,
    mode: 'drwx------',
    owner: 0,
    freeBytes: 10n * GIB,
  },
  interface: null,
}

export const HELLO: HelloReply = {
  protocol: 2,
  version: '0.1.0',
  build: 'ef'.repeat(32),
  pid: 1,
  uid: 0,
  kernel: '6.12.0',
  clockUs: '1',
  stateDir: '/var/lib/ferry',
  pageSize: 4096,
  memlockBytes: null,
  memoryAvailableBytes: (48n * GIB).toString(),
  fingerprint: 'ab'.repeat(32),
  confinement: { seccomp: true, landlock: 6, capabilities: ['CAP_CHOWN', 'CAP_IPC_LOCK'] },
}
