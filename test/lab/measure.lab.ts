// `ferry pin` and `ferry dirty-log` on the real kernel: what is pinned, what is locked, and what each tracker sees of
// devices that do no DMA. Devices that cannot migrate can still be measured.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { expectExit, ferry, startFerry, ended, vfioUsers, type RunResult } from './ferry.js'
import type { Guest } from './guest.js'
import { bindVfioPci, createMtty, findEdu, migrationState } from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'

const uuid = randomUUID()
const functionProfile = 'test/lab/profiles/function.yaml'
const mttyProfile = 'profiles/lab-mtty.yaml'
const MIB = 1024 * 1024
const [BYTES, PAGES] = [16 * MIB, 4096]
let guest: Guest
let env: Readonly<Record<string, string>>

type PinResult = RunResult & { readonly memlockBytes: string | null }

shareGuest(PLAIN, async (shared) => {
  guest = shared
  await createMtty(guest, uuid)
  const edu = await findEdu(guest)
  await bindVfioPci(guest, edu)
  // Measuring asks the source alone: the destination's devices need not be there.
  const absent = { DESTINATION_UUID: randomUUID(), DESTINATION_BDF: '0000:7f:1f.7' }
  env = { SOURCE_UUID: uuid, SOURCE_BDF: edu, ...absent }
})

async function dirtyLog(profile: string, over: Readonly<Record<string, string>> = {}) {
  const run = await ferry<RunResult>(guest, ['dirty-log', profile, '--rounds', '3', '--interval', '50ms'], {
    ...env,
    ...over,
  })
  expectExit(run, 0)
  expect(await vfioUsers(guest)).toBe('')
  expect(await migrationState(guest, uuid)).toBe('RUNNING')
  const { dirtyReads, trackers } = run.result.report
  expect(dirtyReads.map(({ round }) => round)).toEqual([1, 2, 3])
  const seen = dirtyReads.map((read) => ({
    ...Object.fromEntries(read.trackers.map(({ pages, tracker }) => [tracker.split(':')[0], pages])),
    union: read.unionPages,
  }))
  expect(dirtyReads.map(({ unionBytes, unionPages }) => Number(unionBytes) - unionPages * 4096)).toEqual([
    0, 0, 0,
  ])
  return { trackers, seen }
}

const every = (read: object): readonly object[] => [read, read, read]

describe('ferry dirty-log', () => {
  it('finds no page of an mdev dirty under the pinned scope', async () => {
    const { seen, trackers } = await dirtyLog(mttyProfile, { BACKEND: 'type1' })
    expect(trackers).toMatchObject([{ kind: 'pinned', covers: ['mtty'] }])
    expect(seen).toEqual(every({ pinned: 0, union: 0 }))
  })

  it('finds none by the log of its driver, through iommufd', async () => {
    const { seen } = await dirtyLog(mttyProfile, { BACKEND: 'iommufd' })
    expect(seen).toEqual(every({ device: 0, union: 0 }))
  })

  it('calls every page of a function dirty, in every round', async () => {
    const { seen, trackers } = await dirtyLog(functionProfile, { BACKEND: 'iommufd' })
    expect(trackers).toMatchObject([{ kind: 'all', covers: ['card'] }])
    expect(seen).toEqual(every({ all: PAGES, union: PAGES }))
  })
})

describe('ferry pin', () => {
  it('pins nothing for an mdev: its driver pins what it wants', async () => {
    const run = await ferry<PinResult>(guest, ['pin', mttyProfile], { ...env, BACKEND: 'type1' })
    expectExit(run, 0)
    expect(run.result).toMatchObject({ outcome: 'done', memlockBytes: null })
    expect(run.result.report.pins).toMatchObject([
      { side: 'source', bytes: String(BYTES), pages: PAGES, lockedBytes: '0' },
    ])
    expect(await vfioUsers(guest)).toBe('')
  })

  it.each(['type1', 'iommufd'])(
    'pins every page for a function through %s, and unpins them',
    async (backend) => {
      const idle = await pinnedPages()
      const run = await ferry<PinResult>(guest, ['pin', functionProfile], { ...env, BACKEND: backend })
      expectExit(run, 0)
      expect(run.result.report.pins).toMatchObject([
        { side: 'source', bytes: String(BYTES), pages: PAGES, lockedBytes: String(BYTES) },
      ])
      expect(await vfioUsers(guest)).toBe('')
      // The kernel's own count of pages that were pinned and not unpinned.
      expect(await pinnedPages()).toBe(idle)
    },
  )

  it('keeps them pinned for as long as the trackers are read, and no longer', async () => {
    const idle = await pinnedPages()
    const args = ['dirty-log', functionProfile, '--rounds', '1', '--interval', '60s']
    const run = await startFerry(guest, args, { ...env, BACKEND: 'type1' })
    try {
      await guest.ok(`until [ $(( $(${pinnedNow}) )) -ge ${idle + PAGES} ]; do sleep 0.1; done`, {
        timeoutMs: 60_000,
      })
    } finally {
      await run.kill('SIGINT')
    }
    const cancelled = await ended<RunResult>(args, run)
    expectExit(cancelled, 4)
    expect(await pinnedPages()).toBe(idle)
    expect(await vfioUsers(guest)).toBe('')
  })
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})

const pinnedNow =
  'awk \'$1 == "nr_foll_pin_acquired" { n += $2 } $1 == "nr_foll_pin_released" { n -= $2 } END { print n }\' /proc/vmstat'

async function pinnedPages(): Promise<number> {
  return Number(await guest.ok(pinnedNow))
}
