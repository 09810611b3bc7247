/** claim to untrack, and what becomes of all that afterwards. */
import { SIM } from './sims.js'
import { RECORDS, RUN, type SampleTape } from './tape.js'

export function setUpSamples(tape: SampleTape): void {
  tape.request('claim', {
    role: 'source',
    lockDir: '/run/ferry',
    devices: ['vgpu-0', '0000:41:00.1'],
    recordDir: RECORDS,
    socket: `/var/lib/ferry/sockets/${RUN}-source.sock`,
    graceMs: 30_000,
  })
  tape.reply('claim', { held: false })
  for (const then of ['hold', 'close', 'exec'] as const)
    tape.pair(
      'claim',
      {
        role: 'destination',
        lockDir: '/run/ferry',
        devices: ['vgpu-0'],
        recordDir: RECORDS,
        socket: `/var/lib/ferry/sockets/${RUN}-destination.sock`,
        then,
      },
      { held: false },
    )
  tape.pair(
    'claim',
    {
      role: 'destination',
      lockDir: '/run/ferry',
      devices: [],
      recordDir: RECORDS,
      socket: `/var/lib/ferry/sockets/${RUN}-destination.sock`,
    },
    { held: true },
  )
  tape.request('memory', {
    pageSize: 4096,
    regions: [
      {
        region: 'ram',
        iova: '0x100000000',
        bytes: '536870912',
        backing: { kind: 'memfd' },
        populate: false,
        fill: { seed: 42, zeroPercent: 25 },
      },
      {
        region: 'huge',
        iova: '0x200000000',
        bytes: '1073741824',
        backing: { kind: 'memfd', hugePageBytes: '2097152' },
        populate: true,
      },
      {
        region: 'guest',
        iova: '0x0',
        bytes: '1048576',
        backing: { kind: 'file', path: '/dev/hugepages/guest0' },
        populate: true,
      },
    ],
  })
  tape.reply('memory', { bytes: '1611661312', elapsedUs: 301000 })
  tape.request('container', { container: 'functions', backend: 'iommufd', dirtyTracking: true })
  tape.reply('container', {})
  tape.request('container', { container: 'both', backend: 'type1', dirtyTracking: false, mixed: true })
  tape.reply('container', {})
  tape.request('device', { device: 'vgpu-0', container: 'mdevs', target: { kind: 'sim', spec: SIM } })
  tape.reply('device', { state: 'RUNNING', flags: ['stop-copy', 'p2p', 'pre-copy'], stateBytes: '4194304' })
  tape.request('device', {
    device: '0000:41:00.1',
    container: 'functions',
    target: { kind: 'kernel', sysfsPath: '/sys/bus/pci/devices/0000:41:00.1' },
  })
  tape.reply('device', { state: 'RUNNING', flags: ['stop-copy'], stateBytes: null })
  tape.request('map', { container: 'mdevs' })
  tape.reply('map', {
    bytes: '536870912',
    pages: 131072,
    maps: 1,
    elapsedUs: 45210,
    lockedBytes: '536870912',
  })
  tape.request('unmap', { container: 'mdevs' })
  tape.reply('unmap', {})
  tape.request('track', {
    trackers: [
      { tracker: 'pinned:mdevs', kind: 'pinned', container: 'mdevs' },
      { tracker: 'device:nic-0', kind: 'device', device: 'nic-0' },
      { tracker: 'iommu:functions', kind: 'iommu', container: 'functions' },
      { tracker: 'all:functions', kind: 'all', container: 'functions' },
    ],
  })
  tape.reply('track', {
    trackers: [
      { tracker: 'pinned:mdevs', pageSize: 4096 },
      { tracker: 'device:nic-0', pageSize: 4096 },
    ],
    bitmapBytes: '16384',
  })
  tape.request('dirty', {})
  tape.reply('dirty', {
    elapsedUs: 120,
    trackers: [
      { tracker: 'pinned:mdevs', pages: 65536, onlyPages: 65480, elapsedUs: 70 },
      { tracker: 'device:nic-0', pages: 120, onlyPages: 64, elapsedUs: 40 },
    ],
    unionPages: 65600,
    unionBytes: '268697600',
  })
  tape.request('untrack', {})
  tape.reply('untrack', {})
  const socket = '/var/lib/ferry/holders/vm1.sock'
  const handOut = { socket: '/run/vm1/devices.sock', uid: 107 }
  tape.pair('stay', { workload: 'vm1', socket, handOut }, {})
  tape.pair('stay', { workload: 'vm1', socket, handOut: null }, {})
  tape.pair(
    'exec',
    { command: ['/usr/bin/vmm', '--memory', 'fd=4'] },
    { pid: 4800, names: ['device-vgpu-0', 'iommufd-functions', 'memory-ram'] },
  )
  tape.pair('release', {}, {})
  tape.pair('release', { keep: true }, {})
  tape.pair('release', { giveUp: true }, {})
}
