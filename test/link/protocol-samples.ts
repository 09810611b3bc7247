/**
 * One line of every kind of request, reply and event, as typed values: the compiler holds them to protocol.ts, and
 * protocol-samples.ndjson is their text, which the Rust twin's tests parse. Write it anew after a change with
 * `node --import tsx test/link/protocol-samples.ts > test/link/protocol-samples.ndjson`.
 */
import { pathToFileURL } from 'node:url'
import type { HelperErrorBody, HelperEvent, Op, Requests, SimSpec } from '../../src/link/protocol.js'

export type Sample =
  | {
      readonly kind: 'request'
      readonly op: Op
      readonly body: {
        readonly id: number
        readonly op: Op
        readonly run?: string
        readonly epoch?: number
        readonly params: unknown
      }
    }
  | { readonly kind: 'reply'; readonly op: Op; readonly body: { readonly id: number; readonly ok: unknown } }
  | { readonly kind: 'reply'; readonly body: { readonly id: number | null; readonly error: HelperErrorBody } }
  | { readonly kind: 'event'; readonly body: HelperEvent }

const run = '20261122T151733-4f2a'
const out: Sample[] = []
let lastId = 0
function req<K extends Op>(op: K, params: Requests[K]['params']): void {
  lastId++
  const bound = op === 'hello' || op === 'inventory' ? {} : { run, epoch: 1 }
  out.push({ kind: 'request', op, body: { id: lastId, op, ...bound, params } })
}
function rep<K extends Op>(op: K, ok: Requests[K]['reply']): void {
  out.push({ kind: 'reply', op, body: { id: lastId, ok } })
}
function err(id: number | null, error: HelperErrorBody): void {
  out.push({ kind: 'reply', body: { id, error } })
}
function ev(body: HelperEvent): void {
  out.push({ kind: 'event', body })
}

const fp = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
const fp2 = '60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752'
const secret = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'
req('hello', { protocol: 1 })
rep('hello', {
  protocol: 1,
  version: '0.1.0',
  pid: 4711,
  uid: 0,
  pageSize: 4096,
  memlockBytes: null,
  memoryAvailableBytes: '16624463872',
  fingerprint: fp,
})
const spec: SimSpec = {
  model: 'mdev',
  flags: ['stop-copy', 'p2p', 'pre-copy'],
  trackers: ['pinned', 'all'],
  stateBytes: '4194304',
  precopyBytes: '1048576',
  stateBytesPerSecond: '1073741824',
  seed: 7,
  window: { iova: '0x100000000', bytes: '268435456' },
  writeBytesPerSecond: '67108864',
  pattern: 'hot',
  latencyUs: { STOP_COPY: 500, RUNNING: 250 },
  faults: [
    { kind: 'transition', state: 'STOP_COPY', nth: 1, errno: 'EIO', enterError: true },
    { kind: 'short-stream', bytes: '4096' },
    { kind: 'endless-stream' },
    { kind: 'slow-stop', delayUs: 20000 },
    { kind: 'tracker-error', nth: 2 },
    { kind: 'drop-dirty-bit', nth: 3 },
    { kind: 'precopy-ends-with-zero' },
    { kind: 'reset-fails' },
  ],
}
const minimal: SimSpec = {
  model: 'function',
  flags: ['stop-copy'],
  trackers: ['device'],
  stateBytes: '65536',
  precopyBytes: '0',
  seed: 1,
  window: { iova: '0x0', bytes: '2097152' },
  writeBytesPerSecond: '0',
  pattern: 'uniform',
}
req('inventory', {
  all: false,
  probe: true,
  only: ['83b8f4f2-509f-4f24-8a3f-9b7d1b1f8f4a', '0000:41:00.1'],
  sim: [
    { name: 'vgpu-0', spec },
    { name: 'nic-0', spec: minimal },
  ],
})
rep('inventory', {
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
req('claim', {
  role: 'source',
  lockDir: '/run/ferry',
  devices: ['vgpu-0', '0000:41:00.1'],
  recordDir: '/var/lib/ferry/records',
})
rep('claim', {})
req('memory', {
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
rep('memory', { bytes: '1611661312', elapsedUs: 301000 })
req('container', { container: 'functions', backend: 'iommufd', dirtyTracking: true })
rep('container', {})
req('container', { container: 'both', backend: 'type1', dirtyTracking: false, mixed: true })
rep('container', {})
req('device', { device: 'vgpu-0', container: 'mdevs', target: { kind: 'sim', spec } })
rep('device', { state: 'RUNNING', flags: ['stop-copy', 'p2p', 'pre-copy'], stateBytes: '4194304' })
req('device', {
  device: '0000:41:00.1',
  container: 'functions',
  target: { kind: 'kernel', sysfsPath: '/sys/bus/pci/devices/0000:41:00.1' },
})
rep('device', { state: 'RUNNING', flags: ['stop-copy'], stateBytes: null })
req('map', { container: 'mdevs' })
rep('map', { bytes: '536870912', pages: 131072, maps: 1, elapsedUs: 45210, lockedBytes: '536870912' })
req('unmap', { container: 'mdevs' })
rep('unmap', {})
req('track', {
  trackers: [
    { tracker: 'pinned:mdevs', kind: 'pinned', container: 'mdevs' },
    { tracker: 'device:nic-0', kind: 'device', device: 'nic-0' },
    { tracker: 'iommu:functions', kind: 'iommu', container: 'functions' },
    { tracker: 'all:functions', kind: 'all', container: 'functions' },
  ],
})
rep('track', {
  trackers: [
    { tracker: 'pinned:mdevs', pageSize: 4096 },
    { tracker: 'device:nic-0', pageSize: 4096 },
  ],
  bitmapBytes: '16384',
})
req('dirty', {})
rep('dirty', {
  elapsedUs: 120,
  trackers: [
    { tracker: 'pinned:mdevs', pages: 65536, onlyPages: 65480, elapsedUs: 70 },
    { tracker: 'device:nic-0', pages: 120, onlyPages: 64, elapsedUs: 40 },
  ],
  unionPages: 65600,
  unionBytes: '268697600',
})
req('untrack', {})
rep('untrack', {})
req('listen', { address: '127.0.0.1', port: 0, encrypt: false, peer: fp, secret, linkTimeoutMs: 5000 })
rep('listen', { address: '127.0.0.1', port: 40123 })
req('connect', {
  address: '127.0.0.1',
  port: 40123,
  encrypt: false,
  peer: fp2,
  secret,
  linkTimeoutMs: 5000,
  streams: 1,
})
rep('connect', { roundTripUs: 85 })
req('receive', {})
rep('receive', { outcome: 'running', pages: 196608, bytes: '805306368' })
req('receive', {})
rep('receive', { outcome: 'discarded', reason: 'the source rolled back', pages: 100, bytes: '409600' })
req('precopy', {
  maxRounds: 30,
  maxTimeMs: 60000,
  downtimeLimitMs: 300,
  fixedBlackoutUs: 2000,
  verify: true,
  bandwidth: '1073741824',
})
rep('precopy', {
  reason: 'converged',
  rounds: 4,
  bytes: '805306368',
  remainingBytes: '2097152',
  bytesPerSecond: '2254857830',
  estimatedBlackoutUs: 4930,
})
req('precopy', { maxRounds: 3, maxTimeMs: 1000, downtimeLimitMs: 10, fixedBlackoutUs: 0, verify: false })
rep('precopy', {
  reason: 'rounds',
  rounds: 3,
  bytes: '1610612736',
  remainingBytes: '536870912',
  bytesPerSecond: '2254857830',
  estimatedBlackoutUs: 238095,
})
req('cutover', { downtimeLimitMs: 300, fixedBlackoutUs: 2000, verify: true })
rep('cutover', {
  outcome: 'running',
  blackout: {
    quiesceUs: 812,
    lastPagesUs: 1430,
    stateUs: 3920,
    loadUs: 1210,
    verifyUs: 182000,
    resumeUs: 640,
    totalUs: 190012,
  },
  lastPages: 512,
  lastBytes: '2097152',
  reads: [
    {
      stopped: false,
      trackers: [{ tracker: 'pinned:mdevs', pages: 500, onlyPages: 500, elapsedUs: 70 }],
      unionPages: 500,
    },
    {
      stopped: true,
      trackers: [{ tracker: 'pinned:mdevs', pages: 512, onlyPages: 512, elapsedUs: 60 }],
      unionPages: 512,
    },
  ],
  devices: [{ device: 'vgpu-0', state: 'STOP_COPY', stateBytes: '4194304', stateHash: fp }],
  verified: { pages: 131072, mismatches: [] },
})
req('cutover', { downtimeLimitMs: 1, fixedBlackoutUs: 0, verify: true })
rep('cutover', {
  outcome: 'rolled-back',
  cause: {
    code: 'limit/downtime',
    message: 'blackout passed the downtime limit of 1 ms',
    suggestion: 'raise --downtime-limit, or lower the dirty rate',
  },
  blackout: {
    quiesceUs: 812,
    lastPagesUs: 1430,
    stateUs: 0,
    loadUs: 0,
    verifyUs: 0,
    resumeUs: 0,
    totalUs: 2242,
  },
  lastPages: 512,
  lastBytes: '2097152',
  devices: [],
  verified: { pages: 131072, mismatches: ['0x100003000', '0x1000ff000'] },
})
req('rollback', { peerDiscarded: true })
rep('rollback', { devices: [{ device: 'vgpu-0', state: 'RUNNING' }], needsPerson: [] })
req('rollback', {})
rep('rollback', {
  devices: [{ device: 'vgpu-0', state: 'ERROR' }],
  needsPerson: [
    {
      code: 'device/reset',
      message: 'reset of vgpu-0 failed',
      device: 'vgpu-0',
      operation: 'VFIO_DEVICE_RESET',
      errno: 5,
      errnoName: 'EIO',
      meaning: 'the device did not answer its reset',
      state: 'ERROR',
      suggestion: 'reset the parent device, then start the workload again',
    },
  ],
})
req('check', {})
rep('check', { pages: 131072, writes: '9007199254740993', lostPages: 0, lost: [] })
req('check', {})
rep('check', {
  pages: 131072,
  writes: '40000',
  lostPages: 1,
  lost: [{ iova: '0x100003000', device: 'vgpu-0', expected: '311', found: '290' }],
})
req('release', {})
rep('release', {})
req('status', {})
rep('status', {
  role: 'source',
  run,
  epoch: 1,
  phase: 'pre-copy',
  devices: [{ device: 'vgpu-0', state: 'PRE_COPY' }],
  residentBytes: '71303168',
})
req('status', {})
rep('status', { role: null, run: null, epoch: null, phase: 'idle', devices: [], residentBytes: '4194304' })
req('cancel', {})
rep('cancel', {})
err(null, { code: 'control/line', message: 'the line is not valid JSON' })
err(lastId, { code: 'control/unknown-op', message: 'unknown request "frobnicate"' })
err(lastId, {
  code: 'device/transition',
  message: 'vgpu-0 did not go from PRE_COPY to STOP_COPY',
  device: 'vgpu-0',
  operation: 'VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE',
  errno: 5,
  errnoName: 'EIO',
  meaning: 'the device refused',
  state: 'ERROR',
  suggestion: 'reset the device',
})
ev({
  event: 'device-state',
  device: 'vgpu-0',
  from: 'RUNNING',
  to: 'PRE_COPY',
  elapsedUs: 350,
  atUs: 1234567,
})
ev({
  event: 'round-start',
  round: 1,
  pages: 131072,
  bytes: '536870912',
  trackers: [{ tracker: 'pinned:mdevs', pages: 131072, onlyPages: 131072, elapsedUs: 70 }],
})
ev({
  event: 'progress',
  round: 1,
  sentBytes: '134217728',
  roundBytes: '536870912',
  bytesPerSecond: '2254857830',
})
ev({
  event: 'round-end',
  round: 1,
  sentBytes: '402653184',
  zeroPages: 32768,
  elapsedUs: 178571,
  dirtyPages: 3000,
  dirtyBytes: '12288000',
  bytesPerSecond: '2254857830',
  estimatedBlackoutUs: 7449,
  trackers: [
    { tracker: 'pinned:mdevs', pages: 2900, onlyPages: 2880, elapsedUs: 70 },
    { tracker: 'device:nic-0', pages: 120, onlyPages: 100, elapsedUs: 40 },
  ],
  unionPages: 3000,
})
ev({ event: 'device-precopy', device: 'vgpu-0', bytes: '1048576', initialBytes: '0', dirtyBytes: '0' })
for (const step of [
  'quiesce',
  'last-pages',
  'state',
  'load',
  'verify',
  'commit',
  'resume',
  'rollback',
] as const)
  ev({ event: 'cutover', step, done: step !== 'quiesce', elapsedUs: step === 'quiesce' ? 0 : 812 })
ev({ event: 'log', level: 'warn', message: 'the device drained its pre-copy stream early', device: 'vgpu-0' })
ev({ event: 'log', level: 'info', message: 'listening' })

export const samples: readonly Sample[] = out
export const samplesText = samples.map((sample) => JSON.stringify(sample) + '\n').join('')

const script = process.argv[1]
if (script !== undefined && import.meta.url === pathToFileURL(script).href) process.stdout.write(samplesText)
