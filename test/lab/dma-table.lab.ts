// Every kind of device, backend and tracker on the real kernel: moved while it writes, with every write found at the
// destination, or refused by the plan with the right code and nothing opened.
import { afterAll, describe, expect, it } from 'vitest'
import { Lanes, LOAD, pair, type DmaGuest } from './dma-devices.js'
import { expectExit, ferry, type PlanResult } from './ferry.js'
import { CELLS, type Cell } from './tracker-table.js'
import { DMA, shareGuest } from './shared-guest.js'
import { expectMoved, holdDestination, migrate, MIB, stage, type Workload } from './workload.js'

const lanes = new Lanes()
/** What was seen, by title: for the table at the end. */
const seen = new Map<string, string>()
let lab: DmaGuest

shareGuest(DMA, (shared) => {
  lab = shared
})

afterAll(() => {
  const rows = CELLS.map((cell) =>
    [cell.kind, cell.backend, cell.tracker, seen.get(title(cell)) ?? 'FAILED'].map((text, column) =>
      text.padEnd([12, 8, 7, 0][column] ?? 0),
    ),
  )
  console.log(rows.map((row) => row.join('  ')).join('\n'))
})

function workload({ backend, kind, tracker }: Cell, lane: number): Workload {
  return {
    name: `table-${String(lane)}`,
    memory: [{ name: 'ram', iova: 0n, bytes: 16n * MIB }],
    parts: [{ name: 'card', ...pair(lab, kind, lane), program: LOAD, backend, tracker }],
  }
}

const title = ({ backend, kind, outcome, tracker }: Cell): string =>
  `${kind} ${backend} ${tracker}: ${outcome}`

describe.concurrent('moves under load', () => {
  it.each(CELLS.filter(({ outcome }) => outcome === 'moved').map((cell) => [title(cell), cell] as const))(
    '%s',
    (_title, cell) =>
      lanes.use(async (lane) => {
        const { guest } = lab
        const what = workload(cell, lane)
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
        seen.set(title(cell), `moved: ${String(found.writes)} writes, dirty ${dirty.join(' ')} of 4096`)
      }),
  )
})

describe('is refused before anything is opened', () => {
  /** Every refused cell as a device of one workload: all refusals come at once. */
  async function refusals(
    cells: readonly Cell[],
    exit: number,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const taken = new Map<string, number>()
    const what: Workload = {
      name: 'refused',
      memory: [{ name: 'ram', iova: 0n, bytes: 16n * MIB }],
      parts: cells.map(({ backend, kind, tracker }) => {
        const nth = taken.get(kind) ?? 0
        taken.set(kind, nth + 1)
        return {
          name: nameOf({ backend, kind, tracker }),
          ...pair(lab, kind, nth),
          program: LOAD,
          backend,
          tracker,
        }
      }),
    }
    const run = await ferry<PlanResult>(lab.guest, ['plan', await stage(lab.guest, what)])
    expectExit(run, exit)
    const said = [
      ...run.error!.reasons.map(({ code, device }) => ({ code, about: String(device) })),
      ...(run.error!.diagnostics ?? []).map(({ code, message }) => ({ code, about: message })),
    ]
    return new Map(
      cells.map((cell) => {
        const name = nameOf(cell)
        const own = said.filter(({ about }) => about === name || about.includes(`\`${name}\``))
        return [name, own.map(({ code }) => code)]
      }),
    )
  }
  const nameOf = ({ backend, kind, tracker }: Pick<Cell, 'backend' | 'kind' | 'tracker'>): string =>
    `${kind}-${backend}-${tracker}`
  const refused = CELLS.filter(({ outcome }) => outcome !== 'moved')
  const never = refused.filter(({ outcome }) => outcome === 'profile/impossible-choice')
  const planned = refused.filter((cell) => !never.includes(cell))

  it.each([
    ['by the profile', never, 2],
    ['by the plan', planned, 3],
  ] as const)('%s', async (_by, cells, exit) => {
    const said = await refusals(cells, exit)
    expect([...said]).toEqual(cells.map((cell) => [nameOf(cell), [cell.outcome]]))
    for (const cell of cells) seen.set(title(cell), cell.outcome)
  })
})

it('leaves the kernel content', () => {
  expect(lab.guest.kernelComplaints()).toEqual([])
})
