/** listen to status: the run itself. */
import { FINGERPRINT, FORECAST, PEER, RUN, SECRET, type SampleTape } from './tape.js'

export function runSamples(tape: SampleTape): void {
  tape.request('listen', {
    address: '127.0.0.1',
    port: 0,
    encrypt: false,
    peer: FINGERPRINT,
    secret: SECRET,
    linkTimeoutMs: 5000,
    keepaliveMs: 6000,
    streams: 1,
    from: '127.0.0.1',
  })
  tape.reply('listen', { address: '127.0.0.1', port: 40123 })
  const listen = {
    address: '',
    interface: 'eth1',
    port: 7440,
    encrypt: true,
    peer: FINGERPRINT,
    secret: SECRET,
    linkTimeoutMs: 5000,
    keepaliveMs: 6000,
    streams: 8,
    from: null,
  }
  tape.pair('listen', listen, { address: '2001:db8::7', port: 7440 })
  tape.pair('expect-probe', listen, { address: '2001:db8::7', port: 7440 })
  tape.request('connect', {
    address: '127.0.0.1',
    port: 40123,
    encrypt: false,
    peer: PEER,
    secret: SECRET,
    linkTimeoutMs: 5000,
    keepaliveMs: 6000,
    streams: 1,
    use: 1,
    bind: null,
  })
  tape.reply('connect', { roundTripUs: 85 })
  const connect = {
    address: '2001:db8::7',
    port: 7440,
    encrypt: true,
    peer: PEER,
    secret: SECRET,
    linkTimeoutMs: 5000,
    keepaliveMs: 6000,
    streams: 8,
    use: 2,
    bind: '2001:db8::1',
  }
  tape.pair('connect', connect, { roundTripUs: 850 })
  tape.pair('probe', connect, { roundTripUs: 850 })
  tape.request('receive', {})
  tape.reply('receive', { outcome: 'running', pages: 196608, bytes: '805306368' })
  tape.request('receive', {})
  tape.reply('receive', {
    outcome: 'discarded',
    reason: 'the source rolled back',
    pages: 100,
    bytes: '409600',
  })
  const waiting = { reason: 'the link was lost after PREPARED', pages: 196608, bytes: '805306368' }
  tape.pair('receive', {}, { outcome: 'waiting', ...waiting })
  tape.pair('finish', {}, { outcome: 'running', pages: 196608, bytes: '805306368' })
  tape.request('precopy', {
    maxRounds: 30,
    maxTimeMs: 60000,
    downtimeLimitMs: 300,
    fixedBlackoutUs: 2000,
    verify: true,
    bandwidth: '1073741824',
  })
  tape.reply('precopy', {
    reason: 'converged',
    rounds: 4,
    bytes: '805306368',
    remainingBytes: '2097152',
    bytesPerSecond: '2254857830',
    estimatedBlackoutUs: 5015,
    forecast: FORECAST,
  })
  tape.request('precopy', {
    maxRounds: 3,
    maxTimeMs: 1000,
    downtimeLimitMs: 10,
    fixedBlackoutUs: 0,
    verify: false,
  })
  tape.reply('precopy', {
    reason: 'rounds',
    rounds: 3,
    bytes: '1610612736',
    remainingBytes: '536870912',
    bytesPerSecond: '2254857830',
    estimatedBlackoutUs: 238095,
    forecast: {
      lowUs: 230000,
      expectedUs: 238095,
      highUs: 246000,
      parts: {
        fixedUs: 0,
        pagesUs: 238000,
        stateUs: 0,
        loadUs: 0,
        verifyUs: 0,
        roundTripUs: 95,
        hooksUs: 0,
      },
    },
  })
  tape
    .request('precopy', {
      maxRounds: 30,
      maxTimeMs: 60000,
      downtimeLimitMs: 300,
      fixedBlackoutUs: 2000,
      verify: false,
      hooksUs: 500,
      hold: { intervalMs: 1000 },
    })
    .reply('precopy', {
      reason: 'released',
      rounds: 61,
      bytes: '2415919104',
      remainingBytes: '2097152',
      bytesPerSecond: '2254857830',
      estimatedBlackoutUs: 5015,
      forecast: FORECAST,
    })
  tape.pair('tune', { bandwidth: '536870912', streams: 4, downtimeLimitMs: 500 }, {})
  tape.pair('tune', { bandwidth: null }, {})
  tape.pair('tune', {}, {})
  tape.pair('proceed', {}, {})
  tape.pair('take-up', {}, {})
  tape.request('cutover', {
    downtimeLimitMs: 300,
    fixedBlackoutUs: 2000,
    verify: true,
    pauses: ['post-quiesce', 'post-stop', 'pre-resume'],
    hooksUs: 500,
  })
  tape.reply('cutover', {
    outcome: 'running',
    blackout: {
      quiesceUs: 812,
      lastPagesUs: 1430,
      stateUs: 3920,
      loadUs: 1210,
      verifyUs: 182000,
      resumeUs: 640,
      hooksUs: 410,
      totalUs: 190422,
    },
    forecast: FORECAST,
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
    devices: [{ device: 'vgpu-0', state: 'STOP_COPY', stateBytes: '4194304', stateHash: FINGERPRINT }],
    verified: { pages: 131072, mismatches: [] },
  })
  tape.request('cutover', { downtimeLimitMs: 1, fixedBlackoutUs: 0, verify: true })
  tape.reply('cutover', {
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
  tape.pair('continue', { at: 'post-quiesce' }, {})
  tape.pair('continue', { at: 'post-stop' }, {})
  tape.pair(
    'continue',
    { at: 'pre-resume', abort: { code: 'hook/failed', message: 'the hook switch-over ended with exit 1' } },
    {},
  )
  tape.request('rollback', { peerDiscarded: true })
  tape.reply('rollback', { devices: [{ device: 'vgpu-0', state: 'RUNNING' }], needsPerson: [] })
  tape.request('rollback', {})
  tape.reply('rollback', {
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
  tape.request('check', {})
  tape.reply('check', { pages: 131072, writes: '9007199254740993', lostPages: 0, lost: [] })
  tape.request('check', {})
  tape.reply('check', {
    pages: 131072,
    writes: '40000',
    lostPages: 1,
    lost: [{ iova: '0x100003000', device: 'vgpu-0', expected: '311', found: '290' }],
  })
  tape.request('status', {})
  tape.reply('status', {
    role: 'source',
    run: RUN,
    epoch: 1,
    phase: 'pre-copy',
    devices: [{ device: 'vgpu-0', state: 'PRE_COPY' }],
    residentBytes: '71303168',
    workload: null,
  })
  tape.request('status', {})
  tape.reply('status', {
    role: null,
    run: null,
    epoch: null,
    phase: 'idle',
    devices: [],
    residentBytes: '4194304',
    workload: null,
  })
  tape.pair(
    'status',
    {},
    {
      role: null,
      run: null,
      epoch: null,
      phase: 'idle',
      devices: [{ device: 'vgpu-0', state: 'RUNNING' }],
      residentBytes: '4194304',
      workload: 'vm1',
      cameBy: RUN,
    },
  )
  tape.request('cancel', {})
  tape.reply('cancel', {})
}
