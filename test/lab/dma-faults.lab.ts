// What devices do wrong, one fault a test: what Ferry says of it, and that afterwards one side is whole.
import { describe, expect, it } from 'vitest'
import { Lanes, LOAD, NEUTRAL, pair, type DmaGuest } from './dma-devices.js'
import { position, setKnobs, type DmaDevice, type DmaKind, type Program } from './dma.js'
import { expectExit, type FerryRun, type RunResult } from './ferry.js'
import { migrationState } from './mtty.js'
import { DMA, shareGuest } from './shared-guest.js'
import {
  check,
  expectMoved,
  expectSourceWhole,
  migrate,
  MIB,
  stage,
  type Workload,
  giveUp,
} from './workload.js'

const ERRNO = { EIO: 5, ENOMEM: 12, EFAULT: 14, EBUSY: 16, ENOMSG: 42 } as const
const lanes = new Lanes()
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

interface Asked {
  readonly kind?: DmaKind
  readonly tracker?: 'device'
  readonly program?: Partial<Program>
  readonly migration?: object
}

function workload(lane: number, { kind = 'dirty', migration, program = {}, tracker }: Asked = {}): Workload {
  const mdev = kind === 'mdev' || kind === 'logged-mdev'
  return {
    name: `faults-${String(lane)}`,
    memory: [{ name: 'ram', iova: 0n, bytes: 16n * MIB }],
    parts: [
      {
        ...{ name: 'card', ...pair(lab, kind, lane) },
        program: { ...LOAD, ...(mdev && { mode: 'rw' }), ...program },
        ...(tracker !== undefined && { tracker }),
      },
    ],
    ...(migration !== undefined && { migration }),
  }
}

type Knobs = Readonly<Record<string, string | number | bigint>>

/** One run with knobs turned on one or both sides after the devices were programmed. */
async function withFault(
  what: Workload,
  fault: { readonly from?: Knobs; readonly to?: Knobs },
): Promise<FerryRun<RunResult>> {
  const profile = await stage(lab.guest, what)
  const [part] = what.parts
  await setKnobs(lab.guest, part!.from, { ...NEUTRAL, ...fault.from })
  await setKnobs(lab.guest, part!.to, { ...NEUTRAL, ...fault.to })
  return migrate(lab.guest, profile)
}

/** The error names the device, what was asked of the kernel and what it answered. */
function expectNamed(run: FerryRun<RunResult>, errno: string): void {
  expect(JSON.stringify(run.error)).toContain('card')
  expect(JSON.stringify(run.error)).toContain(errno)
}

describe.concurrent('a transition that fails', () => {
  // Arcs of a source with all flags: PRE_COPY, PRE_COPY_P2P, STOP_COPY.
  it.each([
    [1, 'entering PRE_COPY', 'EBUSY'],
    [2, 'entering PRE_COPY_P2P', 'EIO'],
    [3, 'entering STOP_COPY', 'EIO'],
  ] as const)('arc %i of the source, %s: exit 5, the source runs on', (nth, _what, errno) =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, {
        from: { fail_transition: `"${String(nth)} ${String(ERRNO[errno])}"` },
      })
      expectExit(run, 5)
      expectNamed(run, errno)
      await expectSourceWhole(lab.guest, what)
    }),
  )

  // Of a destination: STOP and RESUMING by way of P2P, then STOP where it loads.
  it.each([
    [1, 'leaving RUNNING'],
    [4, 'loading the state'],
  ] as const)('arc %i of the destination, %s: exit 5, the source runs on', (nth, _what) =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { to: { fail_transition: `"${String(nth)} ${String(ERRNO.EIO)}"` } })
      expectExit(run, 5)
      expectNamed(run, 'EIO')
      await expectSourceWhole(lab.guest, what)
    }),
  )

  it('the destination’s start after the commit: never two, and the exit code says so', () =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { to: { fail_transition: `"5 ${String(ERRNO.EIO)}"` } })
      expectExit(run, 6)
      expectNamed(run, 'EIO')
      await giveUp(lab.guest, run)
      const [part] = what.parts
      expect(await position(lab.guest, part!.from)).toBe(0)
    }))
})

describe.concurrent('a device in ERROR', () => {
  it('on the source: exit 6, since only a reset leads out, and that loses what it was doing', () =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { from: { error_transition: 3 } })
      expectExit(run, 6)
      expectNamed(run, 'ERROR')
      const [part] = what.parts
      expect(await migrationState(lab.guest, part!.from.id)).toBe('RUNNING')
      expect(await position(lab.guest, part!.from)).toBe(0)
    }))

  it('on the destination: exit 5, the source runs on', () =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { to: { error_transition: 4 } })
      expectExit(run, 5)
      expectNamed(run, 'ERROR')
      await expectSourceWhole(lab.guest, what)
    }))
})

it('a stall of the last step: the ceiling holds, the source runs on', () =>
  lanes.use(async (lane) => {
    const what = workload(lane, { migration: { downtimeLimit: '3s' } })
    const run = await withFault(what, { from: { stall_transition: '"3 5000"' } })
    expectExit(run, 7)
    await expectSourceWhole(lab.guest, what)
  }))

describe.concurrent('a state stream', () => {
  it('that ends early is refused by a device that checks', () =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { from: { short_stream: 16 } })
      expectExit(run, 5)
      expectNamed(run, 'EINVAL')
      await expectSourceWhole(lab.guest, what)
    }))

  it.each(['endless_stream', 'blocked_stream'])('with %s is cut off by the downtime limit', (knob) =>
    lanes.use(async (lane) => {
      const what = workload(lane, { migration: { downtimeLimit: '3s' } })
      const run = await withFault(what, { from: { [knob]: 1 } })
      expect([5, 7]).toContain(run.exit)
      await expectSourceWhole(lab.guest, what)
    }),
  )

  it.each(['EFAULT', 'ENOMEM'] as const)('that the destination refuses with %s', (errno) =>
    lanes.use(async (lane) => {
      const what = workload(lane)
      const run = await withFault(what, { to: { load_error: ERRNO[errno] } })
      expectExit(run, 5)
      expectNamed(run, errno)
      await expectSourceWhole(lab.guest, what)
    }),
  )

  it.each([
    ['ENOMSG', ERRNO.ENOMSG],
    ['0', 0],
  ] as const)('whose pre-copy part ends with %s', (_name, end) =>
    lanes.use(async (lane) => {
      const what = workload(lane, { program: { state: 3_000_001 } })
      await expectMoved(lab.guest, what, await withFault(what, { from: { precopy_end: end } }))
    }),
  )

  it('of a handful of bytes', () =>
    lanes.use(async (lane) => {
      const what = workload(lane, { program: { state: 0 } })
      const run = await withFault(what, {})
      await expectMoved(lab.guest, what, run)
      expect(Number(run.result.report.devices[0]!.stateBytes)).toBeLessThan(256)
    }))

  it('of 256 MiB, into a device that does not check', () =>
    lanes.use(async (lane) => {
      const what = workload(lane, {
        program: { state: 256 * 1024 * 1024 },
        migration: { downtimeLimit: '120s' },
      })
      const run = await withFault(what, { to: { validate: 0 } })
      await expectMoved(lab.guest, what, run)
      expect(Number(run.result.report.devices[0]!.stateBytes)).toBeGreaterThan(256 * 1024 * 1024)
    }))
})

it('a tracker that fails: its log is lost, so nothing moves', () =>
  lanes.use(async (lane) => {
    const what = workload(lane, { kind: 'logged-mdev', tracker: 'device' })
    const run = await withFault(what, { from: { log_error: ERRNO.EIO } })
    expectExit(run, 5)
    expectNamed(run, 'EIO')
    await expectSourceWhole(lab.guest, what)
  }))

// A round's report, and that of the last pages; how many rounds there are the device decides, and it makes no difference.
it.each([1, 3])('a tracker whose report %i does not return: exit 5, the source runs on', (nth) =>
  lanes.use(async (lane) => {
    const migration = { linkTimeout: '3s', downtimeLimit: '3s' }
    const what = workload(lane, { kind: 'logged-mdev', tracker: 'device', migration })
    const run = await withFault(what, { from: { stall_report: `"${String(nth)} 600000"` } })
    expectExit(run, 5)
    expect(run.error).toMatchObject({ code: 'tracker/no-answer' })
    expectNamed(run, 'card')
    await expectSourceWhole(lab.guest, what)
  }),
)

describe.concurrent('a dirty bit that is dropped', () => {
  const WINDOW = 2n * MIB
  const PAGE = WINDOW + 3n * 4096n
  const small: Partial<Program> = { bytes: 16n * 4096n, window: WINDOW, pattern: 'sequential' }
  const cases: readonly (readonly [DmaKind, Program['mode']])[] = [
    ['mdev', 'pin-each'],
    ['logged-mdev', 'rw'],
    ['dirty', undefined],
  ]
  const asked = (lane: number, kind: DmaKind, mode: Program['mode'], verify: string): Workload =>
    workload(lane, {
      kind,
      ...(kind === 'logged-mdev' && { tracker: 'device' }),
      program: { ...small, ...(mode !== undefined && { mode }) },
      migration: { verify },
    })

  it.each(cases)('%s: full verification names the page and rolls back', (kind, mode) =>
    lanes.use(async (lane) => {
      const what = asked(lane, kind, mode, 'full')
      const run = await withFault(what, { from: { drop_dirty: PAGE } })
      expectExit(run, 5)
      expect(JSON.stringify(run.error)).toContain(`0x${PAGE.toString(16)}`)
      await expectSourceWhole(lab.guest, what)
    }),
  )

  it.each(cases)('%s: without verification the checker finds that page, and no other', (kind, mode) =>
    lanes.use(async (lane) => {
      const what = asked(lane, kind, mode, 'none')
      const run = await withFault(what, { from: { drop_dirty: PAGE }, to: { hold: 1 } })
      expectExit(run, 0)
      const found = await check(lab.guest, what, 'destination')
      expect(found).toMatchObject({ lostPages: 1, lost: [{ device: 'card', mismatch: 'stale' }] })
      expect(BigInt(found.lost[0]!.iova)).toBe(PAGE)
    }),
  )
})

it('after all of it, the devices move as ever, and go on where they stood', () =>
  lanes.use(async (lane) => {
    const what = workload(lane, { program: { limit: 100_000 } })
    const run = await withFault(what, {})
    await expectMoved(lab.guest, what, run)
    const devices: readonly DmaDevice[] = what.parts.map(({ to }) => to)
    for (const device of devices) expect(await migrationState(lab.guest, device.id)).toBe('RUNNING')
  }))

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
