// `ferry dirty-log` against the devices' own count of the pages they wrote: what each tracker really knows. Prints the
// figures of docs/kernel-tracking.md.
import { describe, expect, it } from 'vitest'
import { Lanes, NEUTRAL, pair, type DmaGuest } from './dma-devices.js'
import { readKnob, setKnobs, type DmaKind, type PinMode } from './dma.js'
import { expectExit } from './ferry.js'
import { devices as inventoryOf, found } from './ferry.js'
import { DMA, shareGuest } from './shared-guest.js'
import { MIB, stage, start, type LabRegion, type Workload } from './workload.js'

const lanes = new Lanes()
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

interface Case {
  readonly kind: DmaKind
  readonly mode?: PinMode
  readonly backend: 'type1' | 'iommufd'
  readonly tracker: 'pinned' | 'device' | 'iommu' | 'all'
  readonly pages: number
  readonly huge?: boolean
  readonly trackers?: object
  readonly knobs?: Readonly<Record<string, string | number>>
}

interface Seen {
  readonly reads: readonly number[]
  readonly distinct: number
}

/** A burst of so many writes, each to a page of its own, between the first two reads of the trackers. */
const burst = (what: Case): Promise<Seen> => lanes.use((lane) => burstIn(what, lane))

async function burstIn(what: Case, lane: number): Promise<Seen> {
  const { guest } = lab
  const { from, to } = pair(lab, what.kind, lane)
  const region: LabRegion = { name: 'ram', iova: 0n, bytes: 16n * MIB, huge: what.huge ?? false }
  const workload: Workload = {
    name: `burst-${String(lane)}`,
    memory: [region],
    parts: [
      {
        ...{ name: 'card', from, to, backend: what.backend, tracker: what.tracker },
        program: {
          ...{ slot: 0, seed: 5, window: 4n * MIB, bytes: 8n * MIB, pattern: 'sequential', rate: 0 },
          ...{ limit: what.pages, ...(what.mode !== undefined && { mode: what.mode }) },
        },
      },
    ],
    ...(what.trackers !== undefined && { trackers: what.trackers }),
  }
  const profile = await stage(guest, workload)
  await setKnobs(guest, from, { ...NEUTRAL, hold: 1, distinct: 0, ...what.knobs })
  const run = await start(guest, ['dirty-log', profile, '--rounds', '3', '--interval', '3s'])
  const journals = '"$HOME"/.local/state/ferry'
  await guest.ok(
    `until grep -qs '"op":"dirty"' $(find ${journals} -name '*.ndjson' -newer ${profile} -exec grep -l ${profile} {} +); do sleep 0.5; done`,
    { timeoutMs: 60_000 },
  )
  await setKnobs(guest, from, { hold: 0 })
  const ended = await run.end()
  expectExit(ended, 0)
  expect(Number(await readKnob(guest, from, 'position'))).toBe(what.pages)
  return {
    reads: ended.result.report.dirtyReads.map(({ unionPages }) => unionPages),
    distinct: Number(await readKnob(guest, from, 'distinct')),
  }
}

const figure = (what: string, { distinct, reads }: { distinct: number; reads: readonly number[] }): void =>
  console.log(`${what}: wrote ${String(distinct)} pages, reads ${reads.join(' ')}`)
const sum = (reads: readonly number[]): number => reads.reduce((a, b) => a + b, 0)

describe.concurrent('names exactly the pages that were written', () => {
  const exact: readonly (readonly [string, Case])[] = [
    [
      'pinned, of an mdev that writes by vfio_dma_rw',
      { kind: 'mdev', mode: 'rw', backend: 'type1', tracker: 'pinned', pages: 700 },
    ],
    [
      'pinned, of an mdev that pins for each write',
      { kind: 'mdev', mode: 'pin-each', backend: 'type1', tracker: 'pinned', pages: 700 },
    ],
    [
      'the log of an mdev’s driver',
      { kind: 'logged-mdev', mode: 'rw', backend: 'iommufd', tracker: 'device', pages: 700 },
    ],
    ['the log of a function', { kind: 'edu', backend: 'iommufd', tracker: 'device', pages: 20 }],
    ['dirty bits of 4 KiB IOMMU pages', { kind: 'dirty', backend: 'iommufd', tracker: 'iommu', pages: 700 }],
  ]
  it.each(exact)('%s', async (title, what) => {
    const seen = await burst(what)
    figure(title, seen)
    expect(seen.distinct).toBe(what.pages)
    expect(sum(seen.reads)).toBe(seen.distinct)
  })
})

describe.concurrent('names more than was written', () => {
  it('pinned, of an mdev that keeps its pages pinned: all of them, in every read', async () => {
    const seen = await burst({
      kind: 'mdev',
      mode: 'pin-keep',
      backend: 'type1',
      tracker: 'pinned',
      pages: 700,
    })
    figure('pinned, kept', seen)
    expect(seen.distinct).toBe(700)
    expect(seen.reads.at(-1)).toBe(700)
  })

  it('a log whose pages are 64 KiB: 16 pages for one', async () => {
    const knobs = { log_min_page: 65536, log_max_page: 65536 }
    const what = {
      kind: 'logged-mdev',
      mode: 'rw',
      backend: 'iommufd',
      tracker: 'device',
      pages: 100,
    } as const
    const seen = await burst({ ...what, knobs })
    figure('log of 64 KiB', seen)
    expect(seen.distinct).toBe(100)
    // 100 pages in a row begin seven blocks of 16; a block read in between is named twice.
    expect([112, 128]).toContain(sum(seen.reads))
  })

  it('all: every page, in every read', async () => {
    const seen = await burst({ kind: 'mdev', mode: 'rw', backend: 'type1', tracker: 'all', pages: 10 })
    figure('all', seen)
    expect(seen.reads).toEqual([4096, 4096, 4096])
  })
})

describe('ferry devices', () => {
  it('tells the DMA devices apart, and explains each', async () => {
    const seen = await inventoryOf(lab.guest)
    const kinds = Object.entries(lab.devices).flatMap(([kind, [device]]) =>
      device === undefined ? [] : [{ kind, facts: found(seen, device.id) }],
    )
    const told = kinds.map(({ facts, kind }) => ({
      kind,
      device: facts.kind,
      group: facts.group?.iommu,
      flags: facts.migration?.flags,
      trackers: facts.trackers.filter(({ available }) => available === true).map((tracker) => tracker.kind),
    }))
    const flags = ['stop-copy', 'p2p', 'pre-copy']
    expect(told).toEqual([
      { kind: 'mdev', device: 'mdev', group: 'emulated', flags, trackers: ['pinned', 'all'] },
      {
        kind: 'logged-mdev',
        device: 'mdev',
        group: 'emulated',
        flags,
        trackers: ['pinned', 'device', 'all'],
      },
      { kind: 'edu', device: 'function', group: 'physical', flags, trackers: ['device', 'all'] },
      { kind: 'dirty', device: 'function', group: 'physical', flags, trackers: ['iommu', 'all'] },
      { kind: 'both', device: 'function', group: 'physical', flags, trackers: ['device', 'iommu', 'all'] },
    ])
    for (const { facts } of kinds)
      for (const tracker of facts.trackers.filter(({ available }) => available === false))
        expect([facts.id, tracker.kind, tracker.reason ?? '']).toEqual([
          facts.id,
          tracker.kind,
          expect.stringMatching(/\w+ \w+/u),
        ])
  })
})

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
