// Several devices of one workload: unlike trackers joined into one bitmap, containers partitioned so that no group
// spoils another's tracking, and the order in which devices that write to each other's memory are stopped.
import { describe, expect, it } from 'vitest'
import { pair, type DmaGuest } from './dma-devices.js'
import { readKnob, setKnobs, transitions, type Arc, type DmaDevice, type Program } from './dma.js'
import { codesOf, expectExit, ferry, type PlanResult, type RunResult } from './ferry.js'
import { DMA, shareGuest } from './shared-guest.js'
import { expectMoved, holdDestination, migrate, MIB, stage, type Part, type Workload } from './workload.js'

const PAGES = 8192
const RAM = [{ name: 'ram', iova: 0n, bytes: 32n * MIB }]
/** Slow enough for every device to write while it lasts. */
const SLOW = { bandwidth: '12MiB/s' }
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

function programOf(slot: number, from: bigint, size: bigint, over: Partial<Program> = {}): Program {
  const rate = 2 * 1024 * 1024
  return { slot, seed: 40 + slot, window: from, bytes: size, pattern: 'uniform', rate, state: 4096, ...over }
}

/** Pages each tracker named in one read, by its kind. */
type Read = Readonly<Record<string, number>>

function readsOf({ report }: RunResult): readonly Read[] {
  const kindOf = new Map(report.trackers.map(({ kind, tracker }) => [tracker, kind]))
  return [...report.trackerReads, ...report.dirtyReads].map(({ trackers, unionPages }) => ({
    ...Object.fromEntries(trackers.map((each) => [kindOf.get(each.tracker) ?? each.tracker, each.pages])),
    union: unionPages,
  }))
}

describe.concurrent('the union of unlike trackers', () => {
  it('moves an mdev, a function with a log and a function with dirty bits that write to the same pages', async () => {
    const { guest } = lab
    const workload: Workload = {
      name: 'union',
      memory: RAM,
      parts: [
        { name: 'vgpu', ...pair(lab, 'mdev'), program: programOf(0, 2n * MIB, 8n * MIB, { mode: 'rw' }) },
        { name: 'edu', ...pair(lab, 'edu'), program: programOf(1, 6n * MIB, 2n * MIB) },
        { name: 'nic', ...pair(lab, 'dirty'), program: programOf(2, 6n * MIB, 8n * MIB) },
      ],
      migration: SLOW,
    }
    const profile = await stage(guest, workload)
    await holdDestination(guest, workload, true)
    const run = await migrate(guest, profile)
    await holdDestination(guest, workload, false)
    const found = await expectMoved(guest, workload, run)
    const { report } = run.result
    expect(report.trackers.map(({ covers, kind }) => [kind, covers])).toEqual([
      ['pinned', ['vgpu']],
      ['device', ['edu']],
      ['iommu', ['nic']],
    ])
    const reads = readsOf(run.result)
    console.log(`union, ${String(found.writes)} writes:`, reads)
    // After each round, before the stop, and after it.
    expect(report.trackerReads.map(({ at }) => at)).toEqual([
      ...report.rounds.map(() => 'round'),
      'before-stop',
      'after-stop',
    ])
    for (const { union = 0, ...each } of reads) {
      const pages = Object.values(each)
      expect(Object.keys(each).sort()).toEqual(['device', 'iommu', 'pinned'])
      expect(union).toBeGreaterThanOrEqual(Math.max(...pages))
      expect(union).toBeLessThanOrEqual(pages.reduce((a, b) => a + b, 0))
    }
    // Each saw something.
    for (const kind of ['pinned', 'device', 'iommu'])
      expect([kind, reads.some((read) => (read[kind] ?? 0) > 0)]).toEqual([kind, true])
  })
})

describe.concurrent('the partition', () => {
  const parts = (container?: string): readonly Part[] => [
    {
      ...{ name: 'vgpu', ...pair(lab, 'mdev', 1), backend: 'type1', tracker: 'pinned' },
      program: programOf(0, 2n * MIB, 4n * MIB, { mode: 'rw', pattern: 'hot' }),
      ...(container !== undefined && { container }),
    },
    {
      ...{ name: 'edu', ...pair(lab, 'edu', 1), backend: 'type1' },
      program: programOf(1, 4n * MIB, 2n * MIB),
      ...(container !== undefined && { container }),
    },
  ]
  const observe = async (workload: Workload): Promise<readonly Read[]> => {
    const profile = await stage(lab.guest, workload)
    const run = await ferry<RunResult>(lab.guest, ['dirty-log', profile, '--rounds', '4', '--interval', '1s'])
    expectExit(run, 0)
    return readsOf(run.result)
  }

  it('keeps the true rate of an mdev beside a function; one container loses it', async () => {
    const { guest } = lab
    const apart: Workload = { name: 'apart', memory: RAM, parts: parts() }
    const planned = await observe(apart)
    console.log('as planned:', planned)
    // No more pages than writes: 4 s and what starting takes, at 512 writes a second.
    for (const round of planned) expect(round['pinned']).toBeLessThan(1024)
    for (const round of planned) expect(round['union']).toBeLessThan(2048)

    const together: Workload = {
      name: 'together',
      memory: RAM,
      parts: parts('shared'),
      trackers: { mixedContainers: 'allow' },
    }
    const forced = await observe(together)
    console.log('in one container:', forced)
    for (const round of forced) expect(round).toMatchObject({ pinned: PAGES, union: PAGES })

    const refused = await ferry<PlanResult>(guest, [
      'plan',
      await stage(guest, { ...together, trackers: {} }),
    ])
    expectExit(refused, 3)
    expect(codesOf(refused)).toEqual(['plan/mixed-container'])
  })
})

describe.sequential('two functions that write to each other’s window', () => {
  const workload = (): Workload => ({
    name: 'peers',
    memory: RAM,
    parts: [
      { name: 'left', ...pair(lab, 'dirty', 1), program: programOf(0, 2n * MIB, 4n * MIB) },
      { name: 'right', ...pair(lab, 'dirty', 2), program: programOf(1, 2n * MIB, 4n * MIB) },
    ],
  })

  it('are all in P2P before one stops, and all in P2P before one runs again', async () => {
    const { guest } = lab
    const what = workload()
    const profile = await stage(guest, what)
    const [from, to] = [what.parts.map((part) => part.from), what.parts.map((part) => part.to)]
    for (const device of [...from, ...to]) await setKnobs(guest, device, { transitions: 0 })
    await expectMoved(guest, what, await migrate(guest, profile))

    const stopped = await transitions(guest, from)
    const quiet = (arc: Arc): boolean => arc.to === 'PRE_COPY_P2P' || arc.to === 'RUNNING_P2P'
    const still = (arc: Arc): boolean => arc.to === 'STOP' || arc.to === 'STOP_COPY'
    expectAllBefore(stopped, from, quiet, still)
    const resumed = await transitions(guest, to)
    const runs = (arc: Arc): boolean => arc.from === 'RUNNING_P2P' && arc.to === 'RUNNING'
    const wakes = (arc: Arc): boolean => arc.from === 'STOP' && arc.to === 'RUNNING_P2P'
    expectAllBefore(resumed, to, wakes, runs)
    // The devices' own word: no one wrote into the window of one that stood still.
    for (const device of [...from, ...to]) expect(await readKnob(guest, device, 'violations')).toBe('0')
  })

  it('are refused when one has no P2P', async () => {
    const { guest } = lab
    const what = workload()
    const profile = await stage(guest, what)
    const right = what.parts[1]!
    const STOP_COPY_AND_PRE_COPY = 5
    for (const device of [right.from, right.to])
      await setKnobs(guest, device, { flags: STOP_COPY_AND_PRE_COPY })
    const run = await ferry<PlanResult>(guest, ['plan', profile])
    for (const device of [right.from, right.to]) await setKnobs(guest, device, { flags: 7 })
    expectExit(run, 3)
    expect(codesOf(run)).toEqual(['plan/p2p-required'])
  })
})

/** Every device took an arc `first` before any took an arc `then`. */
function expectAllBefore(
  arcs: readonly Arc[],
  devices: readonly DmaDevice[],
  first: (arc: Arc) => boolean,
  then: (arc: Arc) => boolean,
): void {
  const lastFirst = Math.max(
    ...devices.map(({ id }) => arcs.find((arc) => arc.device === id && first(arc))?.sequence ?? Infinity),
  )
  const firstThen = Math.min(...arcs.filter(then).map(({ sequence }) => sequence))
  expect({ arcs, ordered: lastFirst < firstThen }).toMatchObject({ ordered: true })
  expect(Number.isFinite(firstThen)).toBe(true)
}

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
