/** The matrix: each step by each fault, and the faults of the devices themselves. */
import { NO_MEMORY } from './cell.js'
import type { Cell, Does } from './matrix.js'
import { BAD, type Reach } from './network.js'
import { STEPS, type Step } from './steps.js'

/** Longer than every time-out of these profiles: keepalive is 2 s, the link's time-out 3 s. */
const STOPPED_MS = 5000
/** Descriptors a helper may have from then on: it has more already. */
const NO_DESCRIPTORS = '--nofile=3:'
const NO_ROOM = '--fsize=0:'

/** Columns. */
export const FAULTS: Readonly<Record<string, Does>> = {
  'ferry killed': { who: 'ferry', signal: 'SIGKILL' },
  'ferry stopped': { who: 'ferry', signal: 'SIGSTOP', stopMs: STOPPED_MS },
  'ferry terminated': { who: 'ferry', signal: 'SIGTERM' },
  cancel: { who: 'ferry', signal: 'SIGINT' },
  'cancel twice': { who: 'ferry', signal: 'SIGINT', times: 2 },
  'source killed': { who: 'source', signal: 'SIGKILL' },
  'source stopped': { who: 'source', signal: 'SIGSTOP', stopMs: STOPPED_MS },
  'source terminated': { who: 'source', signal: 'SIGTERM' },
  'destination killed': { who: 'destination', signal: 'SIGKILL' },
  'destination stopped': { who: 'destination', signal: 'SIGSTOP', stopMs: STOPPED_MS },
  'destination terminated': { who: 'destination', signal: 'SIGTERM' },
  'journal: no room': { errno: 'ENOSPC' },
  'journal: EIO': { errno: 'EIO' },
  'journal: read-only': { errno: 'EROFS' },
  'source: no room for records': { who: 'source', limit: NO_ROOM },
  'destination: no room for records': { who: 'destination', limit: NO_ROOM },
  'source: no descriptors': { who: 'source', limit: NO_DESCRIPTORS },
  'destination: no descriptors': { who: 'destination', limit: NO_DESCRIPTORS },
  'clock an hour back': { backMs: 3_600_000 },
  'profile edited': { edit: true },
  'second run on the same devices': { run: 'migrate' },
  'ferry: stdin ends': { stdin: 'ferry' },
  'source: stdin ends': { stdin: 'source' },
  'destination: stdin ends': { stdin: 'destination' },
  'source: no address space': { who: 'source', limit: NO_MEMORY },
  'destination: no address space': { who: 'destination', limit: NO_MEMORY },
  'source: cgroup without memory': { who: 'source', noMemory: true },
  'destination: cgroup without memory': { who: 'destination', noMemory: true },
  'journal: disk full': { who: 'ferry', disk: 'full' },
  'source: disk full': { who: 'source', disk: 'full' },
  'destination: disk full': { who: 'destination', disk: 'full' },
  'source: disk read-only': { who: 'source', disk: 'read-only' },
  'destination: disk read-only': { who: 'destination', disk: 'read-only' },
}

const REACHES: readonly Reach[] = ['control a', 'control b', 'data', 'all']
const SIGNALS = { killed: 'SIGKILL', terminated: 'SIGTERM', stopped: 'SIGSTOP' } as const

/** Columns of a run between two hosts. */
export const NETWORK_FAULTS: Readonly<Record<string, Does>> = Object.fromEntries([
  ...REACHES.flatMap((reach) => BAD.map((bad) => [`cable ${reach}: ${bad}`, { cable: { reach, bad } }])),
  ...(['source', 'destination'] as const).flatMap((ssh) => [
    ...Object.entries(SIGNALS).map(([name, signal]) => [
      `ssh to ${ssh} ${name}`,
      { ssh, signal, ...(signal === 'SIGSTOP' && { stopMs: STOPPED_MS }) },
    ]),
    [`ssh to ${ssh}: stdin ends`, { ssh, stdin: ssh }],
  ]),
])

const cellOf = (step: Step, fault: string): Cell => {
  const does = FAULTS[fault] ?? NETWORK_FAULTS[fault]
  if (does === undefined) throw new Error(`no fault ${fault}`)
  return { name: `${fault} at "${step}"`, breaks: [{ at: step, does }] }
}

const ERRNOS = ['EINVAL', 'EBUSY', 'EIO', 'ENOMEM', 'ENOTTY', 'EAGAIN'] as const
const SOURCE_STATES = ['PRE_COPY', 'PRE_COPY_P2P', 'STOP_COPY'] as const
const DESTINATION_STATES = ['RESUMING', 'STOP', 'RUNNING_P2P', 'RUNNING'] as const

/** Faults that need no step: they wait for their own moment. */
export const DEVICE_CELLS: readonly Cell[] = [
  ...SOURCE_STATES.flatMap((state) => transitions('source', state)),
  ...DESTINATION_STATES.flatMap((state) => transitions('destination', state)),
  ...(
    [
      'short-stream',
      'endless-stream',
      'blocked-stream',
      'stream-lost',
      'short-reads',
      'stale-session',
      'tracker-error',
      'tracker-hangs',
      'slow-stop',
      'precopy-ends-with-zero',
      'refusals-einval',
    ] as const
  ).map((kind) => ({
    name: `source: ${kind}`,
    breaks: [],
    // What blocks does so until the limit of the blackout.
    migration: { downtimeLimit: '3s' },
    sim: {
      source: [
        {
          kind,
          ...(kind === 'short-stream' && { bytes: '64KiB' }),
          ...(kind === 'short-reads' && { bytes: '512B' }),
          ...(kind.startsWith('tracker-') && { nth: 2 }),
          ...(kind === 'slow-stop' && { delay: '200ms' }),
        },
      ],
    },
  })),
]

function transitions(side: 'source' | 'destination', state: string): Cell[] {
  const cell = (name: string, ...faults: { kind: string; [key: string]: unknown }[]): Cell => ({
    name: `${side}: ${state}, ${name}`,
    breaks: [],
    sim: { [side]: faults },
  })
  // The first way into STOP leads to RESUMING, the second one loads.
  const fault = { kind: 'transition', state, ...(side === 'destination' && state === 'STOP' && { nth: 2 }) }
  return [
    ...ERRNOS.map((errno) => cell(errno, { ...fault, errno })),
    cell('ERROR', { ...fault, enterError: true }),
    cell('ERROR, no RESET', { ...fault, enterError: true }, { kind: 'reset-fails' }),
  ]
}

/** Where no request but a round is under way: from there a run goes on that both helpers have kept. */
const WAITS: readonly Step[] = ['source track', 'destination device-state RESUMING']
const GOES_ON = STEPS.slice(STEPS.indexOf('source connect answered'), STEPS.indexOf('source cutover')).filter(
  (step) => !WAITS.includes(step),
)

/** A column of its own: with the grace of every profile a ferry that is killed before the stop is followed by `recover`. */
export const TAKEN_UP: readonly Cell[] = STEPS.slice(0, STEPS.indexOf('source cutover') + 1).map((step) => ({
  name: `ferry killed, taken up at "${step}"`,
  breaks: [{ at: step, does: { who: 'ferry', signal: 'SIGKILL' } }],
  migration: { grace: '30s' },
  ...(GOES_ON.includes(step) && { goesOn: true }),
}))

export const ALL_CELLS: readonly Cell[] = [
  ...TAKEN_UP,
  ...STEPS.flatMap((step) =>
    Object.keys({ ...FAULTS, ...NETWORK_FAULTS }).map((fault) => cellOf(step, fault)),
  ),
  ...DEVICE_CELLS,
]

/** Each fault once, each phase several times: what `npm test` has time for. Faults that take seconds are in COLUMN. */
export const COMPRESSED: readonly Cell[] = [
  // Two hosts are made for it: it takes the longest, and begins first.
  cellOf('source precopy', 'cable data: loses 30 %'),
  cellOf('source cutover', 'ferry stopped'),
  cellOf('source device-state STOP_COPY', 'source stopped'),
  cellOf('source claim answered', 'destination terminated'),
  cellOf('destination listen answered', 'source: no descriptors'),
  cellOf('source connect', 'destination: no descriptors'),
  cellOf('pin begins', 'profile edited'),
  cellOf('source track', 'second run on the same devices'),
  cellOf('source round-start', 'cancel twice'),
  cellOf('source precopy', 'journal: EIO'),
  cellOf('source precopy answered', 'ferry killed'),
  cellOf('source cutover', 'source: no room for records'),
  cellOf('source precopy answered', 'destination: no room for records'),
  ...TAKEN_UP.filter(({ breaks }) =>
    breaks.some(({ at }) => at === 'source track' || at === 'source round-end'),
  ),
  cellOf('source cutover answered', 'ferry killed'),
  cellOf('source cutover answered', 'destination killed'),
  cellOf('destination check', 'source killed'),
  cellOf('destination status answered', 'journal: no room'),
  cellOf('destination stay', 'clock an hour back'),
  cellOf('source release', 'ferry terminated'),
  cellOf('destination stay', 'source: stdin ends'),
  cellOf('destination stay', 'destination: stdin ends'),
  cellOf('source cutover', 'source: disk full'),
  cellOf('source precopy', 'destination: cgroup without memory'),
]

/** What the lab runs as well, where processors are slow: the moments around COMMIT. */
export const LAB: readonly Cell[] = [
  cellOf('source round-start', 'ferry killed'),
  cellOf('source cutover', 'destination killed'),
  cellOf('source cutover answered', 'ferry killed'),
  cellOf('destination stay', 'ferry killed'),
]
