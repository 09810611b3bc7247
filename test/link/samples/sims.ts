/** Simulated devices: one with everything that can be said of one, and one with the least. */
import type { SimSpec } from '../../../src/protocol/protocol.js'

export const SIM: SimSpec = {
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
export const MINIMAL_SIM: SimSpec = {
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
