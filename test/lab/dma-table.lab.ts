// Every kind of device, backend and tracker on the real kernel: moved while it writes, with every write found at the
// destination, or refused by the plan with the right code and nothing opened.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bootDmaGuest, LOAD, pair, type DmaGuest } from './dma-devices.js'
import { codesOf, expectExit, ferry, type PlanResult } from './ferry.js'
import { CELLS, type Cell } from './tracker-table.js'
import { expectMoved, holdDestination, migrate, MIB, stage, type Workload } from './workload.js'

let lab: DmaGuest

beforeAll(async () => {
  lab = await bootDmaGuest()
})

afterAll(async () => {
  await (lab as DmaGuest | undefined)?.guest.shutdown()
})

function workload({ backend, kind, tracker }: Cell): Workload {
  return {
    name: 'table',
    memory: [{ name: 'ram', iova: 0n, bytes: 16n * MIB }],
    parts: [{ name: 'card', ...pair(lab, kind), program: LOAD, backend, tracker }],
  }
}

const title = ({ backend, kind, outcome, tracker }: Cell): string =>
  `${kind} ${backend} ${tracker}: ${outcome}`

describe('moves under load', () => {
  it.each(CELLS.filter(({ outcome }) => outcome === 'moved').map((cell) => [title(cell), cell] as const))(
    '%s',
    async (_title, cell) => {
      const { guest } = lab
      const what = workload(cell)
      const profile = await stage(guest, what)
      // At rest, so that the memory is that of the very moment the devices stopped on the source.
      await holdDestination(guest, what, true)
      const run = await migrate(guest, profile)
      const found = await expectMoved(guest, what, run)
      const { rounds, trackers } = run.result.report
      expect(trackers).toMatchObject([{ kind: cell.tracker, covers: ['card'] }])
      expect(found.pages).toBe(4096)
      expect(found.writes).toBeGreaterThan(0)
      // `all` costs the whole memory in every round; no other tracker may.
      const dirty = rounds.map(({ dirtyPages }) => dirtyPages)
      if (cell.tracker === 'all') expect(dirty).toEqual(rounds.map(() => 4096))
      else expect(Math.max(...dirty)).toBeLessThanOrEqual(2048)
      console.log(`${title(cell)}: ${String(found.writes)} writes, dirty pages by round ${dirty.join(' ')}`)
    },
  )
})

describe('is refused before anything is opened', () => {
  it.each(CELLS.filter(({ outcome }) => outcome !== 'moved').map((cell) => [title(cell), cell] as const))(
    '%s',
    async (_title, cell) => {
      const { guest } = lab
      const profile = await stage(guest, workload(cell))
      const run = await ferry<PlanResult>(guest, ['plan', profile])
      expectExit(run, 3)
      expect(codesOf(run)).toEqual([cell.outcome])
    },
  )
})

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
