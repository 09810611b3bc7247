/** hello to inventory, and what belongs to no run. */
import { MINIMAL_SIM, SIM } from './sims.js'
import { BUILD, FINGERPRINT, RECORDS, RUN, type SampleTape } from './tape.js'

export function factSamples(tape: SampleTape): void {
  const hello = {
    protocol: 3,
    version: '0.1.0',
    build: BUILD,
    pid: 4711,
    uid: 0,
    kernel: '6.12.0',
    clockUs: '1795360653120457',
    stateDir: '/var/lib/ferry',
    pageSize: 4096,
    memlockBytes: null,
    memoryAvailableBytes: '16624463872',
    fingerprint: FINGERPRINT,
    confinement: { seccomp: true, landlock: 6, capabilities: ['CAP_CHOWN', 'CAP_IPC_LOCK'] },
  } as const
  tape.pair('hello', { protocol: 3 }, hello)
  tape.pair('hello', { protocol: 3, keepaliveMs: 6000 }, { ...hello, memlockBytes: '8388608', uid: 1000 })
  tape.pair('ping', {}, {})
  tape.pair('route', { address: '192.0.2.7' }, { from: '192.0.2.1' })
  tape.pair('route', { address: '2001:db8::7' }, { from: '2001:db8::1' })
  tape.pair('record', { recordDir: RECORDS, run: RUN, role: 'source' }, { record: 'committed' })
  tape.pair('record', { recordDir: RECORDS, run: RUN, role: 'source', forget: true }, { record: 'none' })
  tape.pair(
    'record',
    {
      recordDir: RECORDS,
      run: RUN,
      role: 'destination',
      locks: { lockDir: '/var/lib/ferry/locks', devices: ['nic'] },
    },
    {
      record: 'committed',
      held: [
        { device: 'nic', pid: 7 },
        { device: 'uart', pid: null },
      ],
    },
  )
  for (const record of ['none', 'prepared', 'discarded', 'settled'] as const)
    tape.pair('record', { recordDir: RECORDS, run: RUN, role: 'destination', discard: true }, { record })
  tape.request('inventory', {
    all: false,
    probe: true,
    only: ['83b8f4f2-509f-4f24-8a3f-9b7d1b1f8f4a', '0000:41:00.1'],
    sim: [
      { name: 'vgpu-0', spec: SIM },
      { name: 'nic-0', spec: MINIMAL_SIM },
    ],
  })
  tape.reply('inventory', {
    host: {
      hostname: 'alpha',
      kernel: '6.12.0',
      uid: 0,
      pageSize: 4096,
      memlockBytes: '8388608',
      memoryAvailableBytes: '16624463872',
      type1: true,
      iommufd: null,
      iommuPresent: true,
      noiommuEnabled: false,
    },
    devices: [
      {
        id: 'vgpu-0',
        kind: 'mdev',
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
          stateBytes: '4194304',
        },
        trackers: [
          { kind: 'pinned', available: true },
          { kind: 'device', available: false, reason: 'the device has no DMA log' },
        ],
        probe: { done: true, via: 'sim' },
      },
      {
        id: '0000:41:00.1',
        kind: 'function',
        simulated: false,
        sysfsPath: '/sys/bus/pci/devices/0000:41:00.1',
        physicalFunction: '0000:41:00.0',
        virtualFunctions: 0,
        vendor: '0x15b3',
        device: '0x101e',
        class: '0x020000',
        mdevType: null,
        mdevParent: null,
        driver: 'mlx5_vfio_pci',
        group: {
          id: '12',
          node: '/dev/vfio/12',
          type: 'DMA',
          iommu: 'physical',
          members: [
            { id: '0000:41:00.1', driver: 'mlx5_vfio_pci', blocksGroup: false },
            { id: '0000:41:00.2', driver: 'mlx5_core', blocksGroup: true },
          ],
          viable: false,
        },
        cdev: { name: 'vfio3', node: '/dev/vfio/devices/vfio3' },
        migration: null,
        trackers: [],
        probe: {
          done: false,
          skipped: 'failed',
          error: {
            code: 'device/open',
            message: 'cannot open device 0000:41:00.1',
            device: '0000:41:00.1',
            operation: 'VFIO_GROUP_GET_DEVICE_FD',
            errno: 16,
            errnoName: 'EBUSY',
            meaning: 'another process holds the group',
          },
        },
      },
    ],
    unseen: ['debugfs is not mounted'],
  })
}
