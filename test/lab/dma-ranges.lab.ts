// Shapes of memory that trackers get wrong: more ranges than a log takes, holes between them, the top of the address
// space, and IOMMU pages larger than the pages that are tracked.
import { describe, expect, it } from 'vitest'
import { Lanes, LOAD, NEUTRAL, pair, type DmaGuest } from './dma-devices.js'
import { readKnob, setKnobs, type DmaKind, type Program } from './dma.js'
import { DMA, shareGuest } from './shared-guest.js'
import {
  expectMoved,
  holdDestination,
  migrate,
  MIB,
  stage,
  type CheckReport,
  type LabRegion,
  type Workload,
} from './workload.js'

const TOP = 1n << 64n
/** The lab's IOMMU has 48 bits of address. */
const APERTURE = 1n << 48n
const lanes = new Lanes()
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

interface Asked {
  readonly kind: DmaKind
  readonly memory: readonly LabRegion[]
  /** One device for each. */
  readonly programs: readonly Partial<Program>[]
  readonly trackers?: object
  readonly knobs?: Readonly<Record<string, number>>
}

/** Moves a workload under load; its memory must arrive whole as it was when the devices stopped. */
const move = (asked: Asked): Promise<Moved> => lanes.use((lane) => moveIn(asked, lane))

interface Moved {
  readonly found: CheckReport
  /** Dirty pages at the end of each round. */
  readonly rounds: readonly number[]
  /** Pages each device wrote on the source. */
  readonly distinct: readonly number[]
}

async function moveIn({ kind, knobs, memory, programs, trackers }: Asked, lane: number): Promise<Moved> {
  const { guest } = lab
  const mode = kind === 'logged-mdev' ? 'rw' : 'pin-keep'
  const workload: Workload = {
    name: `ranges-${String(lane)}`,
    memory,
    parts: programs.map((over, index) => ({
      name: `card-${String(index)}`,
      ...pair(lab, kind, 2 * lane + index),
      backend: 'iommufd',
      program: { ...LOAD, mode, slot: index, seed: 70 + index, ...over },
    })),
    ...(trackers !== undefined && { trackers }),
  }
  const profile = await stage(guest, workload)
  for (const { from } of workload.parts) await setKnobs(guest, from, { ...NEUTRAL, ...knobs, distinct: 0 })
  await holdDestination(guest, workload, true)
  const run = await migrate(guest, profile)
  await holdDestination(guest, workload, false)
  const found = await expectMoved(guest, workload, run)
  const rounds = run.result.report.rounds.map(({ dirtyPages }) => dirtyPages)
  const distinct = await Promise.all(
    workload.parts.map(async ({ from }) => Number(await readKnob(guest, from, 'distinct'))),
  )
  return { found, rounds, distinct }
}

/** `count` regions of `pages` each, with as much of nothing after each. */
const scattered = (count: number, pages: bigint, first = 0n): readonly LabRegion[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `r${String(index)}`,
    iova: first + BigInt(index) * pages * 2n * 4096n,
    bytes: pages * 4096n,
  }))

describe.concurrent('a log that takes fewer ranges than there are', () => {
  it.each([
    ['4 of 40', { log_max_ranges: 4 }],
    ['4 of 40, in pages of 64 KiB', { log_max_ranges: 4, log_min_page: 65536, log_max_page: 65536 }],
    ['reported only within one range, at multiples of 64 pages', { log_report_rule: 1 }],
  ] as const)('%s', async (_name, knobs) => {
    const memory = scattered(40, 96n)
    // Two devices, each in a region of its own, far apart: the ranges merge across all between them.
    const programs = [3, 38].map((index) => ({ window: memory[index]!.iova, bytes: 96n * 4096n }))
    const { found } = await move({ kind: 'logged-mdev', memory, programs, knobs })
    expect(found.pages).toBe(40 * 96)
  })
})

it.concurrent('a hole in the middle of a function’s page table', async () => {
  const memory: readonly LabRegion[] = [
    { name: 'below', iova: 0n, bytes: 4n * MIB },
    { name: 'above', iova: 1n << 32n, bytes: 4n * MIB },
  ]
  const programs = memory.map(({ iova }) => ({ window: iova, bytes: 4n * MIB }))
  await move({ kind: 'dirty', memory, programs })
})

describe.concurrent('memory at the top of what can be addressed', () => {
  it('the last page but one of the address space, by the log of an mdev', async () => {
    const bytes = 4n * MIB
    const memory = [{ name: 'top', iova: TOP - 4096n - bytes, bytes }]
    await move({ kind: 'logged-mdev', memory, programs: [{ window: memory[0]!.iova, bytes }] })
  })

  it('the last page of the IOMMU’s aperture, by dirty bits', async () => {
    const bytes = 4n * MIB
    const memory = [{ name: 'top', iova: APERTURE - bytes, bytes }]
    await move({ kind: 'dirty', memory, programs: [{ window: memory[0]!.iova, bytes }] })
  })
})

describe.concurrent('2 MiB pages of memory under an IOMMU with dirty bits', () => {
  const memory: readonly LabRegion[] = [{ name: 'ram', iova: 0n, bytes: 16n * MIB, huge: true }]
  // A page in every 2 MiB.
  const programs = [{ window: 0n, bytes: 16n * MIB, pattern: 'hot', rate: 65536 }] as const

  it('in entries of 4 KiB: what was written, and nothing more', async () => {
    const { distinct, rounds } = await move({ kind: 'dirty', memory, programs })
    console.log(`entries of 4 KiB: wrote ${String(distinct[0])} pages, dirty by round ${rounds.join(' ')}`)
    expect(Math.max(...rounds)).toBeLessThanOrEqual(distinct[0]!)
  })

  it('in entries of 2 MiB: nothing lost, 512 pages for one', async () => {
    const trackers = { iommuHugePages: 'keep', process: null }
    const { distinct, rounds } = await move({ kind: 'dirty', memory, programs, trackers })
    console.log(`entries of 2 MiB: wrote ${String(distinct[0])} pages, dirty by round ${rounds.join(' ')}`)
    for (const pages of rounds) expect(pages % 512).toBe(0)
    expect(Math.max(...rounds)).toBeGreaterThanOrEqual(512)
  })
})

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
