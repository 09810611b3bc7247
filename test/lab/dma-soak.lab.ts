// Randomized runs over device sets, patterns, rates, page sizes and faults. Every run must end in an exit code that is
// true: 0, and the destination has every write; anything else, and the source ran on with every write of its own.
//
//   FERRY_LAB_SEED=12345 npm run test:lab -- dma-soak     one run again
//   FERRY_LAB_SOAK=200 npm run test:lab -- dma-soak       more of them
import { describe, expect, it } from 'vitest'
import { Lanes, NEUTRAL, pair, type DmaGuest } from './dma-devices.js'
import { position, readKnob, setKnobs, type DmaDevice } from './dma.js'
import type { FerryRun, RunResult } from './ferry.js'
import { migrationState } from './mtty.js'
import { describeRun, soakRun, type SoakRun } from './soak-plan.js'
import { DMA, shareGuest } from './shared-guest.js'
import {
  expectMoved,
  expectSourceWhole,
  migrate,
  MIB,
  stage,
  unstage,
  type Workload,
  giveUp,
} from './workload.js'

const asked = process.env['FERRY_LAB_SEED']
const RUNS = Number(process.env['FERRY_LAB_SOAK'] ?? 30)
const first = Math.floor(Math.random() * 1_000_000_000)
const seeds =
  asked === undefined ? Array.from({ length: RUNS }, (_, index) => first + index) : [Number(asked)]
const lanes = new Lanes()
const PAIRS = { mdev: 2, 'logged-mdev': 2, edu: 1, dirty: 2, both: 2 } as const
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

function workload(run: SoakRun, lane: number): Workload {
  const used = new Map<string, number>()
  return {
    name: `soak-${String(lane)}`,
    memory: [
      { name: 'low', iova: 0n, bytes: 8n * MIB, huge: run.huge },
      { name: 'high', iova: 8n * MIB, bytes: 12n * MIB },
    ],
    parts: run.parts.map(({ backend, kind, program, tracker }, index) => {
      const nth = used.get(kind) ?? 0
      used.set(kind, nth + 1)
      return {
        ...{ name: `${kind}-${String(index)}`, ...pair(lab, kind, lane * PAIRS[kind] + nth), program },
        ...(backend !== undefined && { backend }),
        ...(tracker !== undefined && { tracker }),
      }
    }),
    migration: {
      downtimeLimit: '15s',
      precopy: { rounds: 4, time: '40s' },
      onNotConverged: 'cutover',
      verify: run.verify,
    },
  }
}

const P2P = 2

/** The exit codes this run may end in. */
async function allowed(run: SoakRun, what: Workload): Promise<readonly number[]> {
  const noP2p = run.parts.some(({ quirks }) => (Number(quirks['flags'] ?? P2P) & P2P) === 0)
  if (noP2p && run.parts.length > 1) return [3]
  const { fault } = run
  if (fault === undefined) return [0]
  if (fault.countdown === undefined) return fault.exits
  const struck = (await readKnob(lab.guest, what.parts[fault.part]![fault.side], fault.countdown)).startsWith(
    '0 ',
  )
  return struck ? fault.exits.filter((exit) => exit !== 0) : [0]
}

/** Exit 6 names a device that needs a person: here that is one in ERROR, or reset out of it, or one that never started. */
async function expectPersonNeeded(what: Workload, ended: FerryRun<RunResult>): Promise<void> {
  const said = JSON.stringify({ error: ended.error, failed: ended.result.report.failedSteps })
  expect(what.parts.some(({ name }) => said.includes(name))).toBe(true)
  const running = async (device: DmaDevice): Promise<boolean> =>
    (await position(lab.guest, device)) > 0 && (await migrationState(lab.guest, device.id)) === 'RUNNING'
  for (const { from, name, to } of what.parts)
    expect([name, (await running(from)) && (await running(to))]).toEqual([name, false])
}

async function carryOut(run: SoakRun, lane: number): Promise<number | null> {
  const { guest } = lab
  const what = workload(run, lane)
  const profile = await stage(guest, what)
  for (const [index, { from, to }] of what.parts.entries()) {
    const quirks = run.parts[index]?.quirks ?? {}
    await setKnobs(guest, from, { ...NEUTRAL, ...quirks })
    await setKnobs(guest, to, { ...NEUTRAL, ...quirks })
  }
  const { fault } = run
  if (fault !== undefined) await setKnobs(guest, what.parts[fault.part]![fault.side], fault.knobs)
  const args = ['--set', `transport.loopback=${String(!run.encrypt)}`]
  const ended = await migrate(guest, profile, args)
  const shown = JSON.stringify({ error: ended.error, failed: ended.result?.report?.failedSteps }, null, 1)
  expect(await allowed(run, what), `exit ${String(ended.exit)}\n${shown}`).toContain(ended.exit)
  if (ended.exit === 0) await expectMoved(guest, what, ended)
  else if (ended.exit === 6) {
    await expectPersonNeeded(what, ended)
    await giveUp(guest, ended)
  } else if (ended.exit !== 3) await expectSourceWhole(guest, what)
  await unstage(guest, what)
  return ended.exit
}

describe.concurrent('a randomized run', () => {
  it.each(seeds)('seed %i', (seed) =>
    lanes.use(async (lane) => {
      const run = soakRun(seed)
      const line = describeRun(run)
      try {
        console.log(`${line}: exit ${String(await carryOut(run, lane))}`)
      } catch (error) {
        console.log(`${line}: FAILED; again with FERRY_LAB_SEED=${String(seed)}`)
        throw error
      }
    }),
  )
})

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
