/** Errors and events. */
import { FORECAST, type SampleTape } from './tape.js'

export function eventSamples(tape: SampleTape): void {
  tape.error(null, { code: 'control/line', message: 'the line is not valid JSON' })
  tape.error(tape.lastId, { code: 'control/unknown-op', message: 'unknown request "frobnicate"' })
  tape.error(tape.lastId, {
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
  tape.event({
    event: 'device-state',
    device: 'vgpu-0',
    from: 'RUNNING',
    to: 'PRE_COPY',
    elapsedUs: 350,
    atUs: 1234567,
  })
  tape.event({
    event: 'round-start',
    round: 1,
    pages: 131072,
    bytes: '536870912',
    trackers: [{ tracker: 'pinned:mdevs', pages: 131072, onlyPages: 131072, elapsedUs: 70 }],
  })
  tape.event({
    event: 'progress',
    round: 1,
    sentBytes: '134217728',
    roundBytes: '536870912',
    bytesPerSecond: '2254857830',
  })
  tape.event({
    event: 'round-end',
    round: 1,
    sentBytes: '402653184',
    zeroPages: 32768,
    elapsedUs: 178571,
    dirtyPages: 3000,
    dirtyBytes: '12288000',
    bytesPerSecond: '2254857830',
    estimatedBlackoutUs: 7449,
    forecast: FORECAST,
    trackers: [
      { tracker: 'pinned:mdevs', pages: 2900, onlyPages: 2880, elapsedUs: 70 },
      { tracker: 'device:nic-0', pages: 120, onlyPages: 100, elapsedUs: 40 },
    ],
    unionPages: 3000,
  })
  tape.event({
    event: 'device-precopy',
    device: 'vgpu-0',
    bytes: '1048576',
    initialBytes: '0',
    dirtyBytes: '0',
  })
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
    tape.event({ event: 'cutover', step, done: step !== 'quiesce', elapsedUs: step === 'quiesce' ? 0 : 812 })
  for (const stays of [true, false]) tape.event({ event: 'settled', stays })
  for (const at of ['post-quiesce', 'post-stop', 'pre-resume'] as const) tape.event({ event: 'paused', at })
  tape.event({
    event: 'log',
    level: 'warn',
    message: 'the device drained its pre-copy stream early',
    device: 'vgpu-0',
  })
  tape.event({ event: 'log', level: 'info', message: 'listening' })
}
