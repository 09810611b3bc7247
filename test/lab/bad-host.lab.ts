// Hosts that are not as a run needs them, and runs that are stopped: on the real kernel and a real device.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  bodies,
  codesOf,
  ended,
  expectExit,
  ferry,
  journal,
  startFerry,
  statesOf,
  traces,
  vfioUsers,
  type PlanResult,
  type RunResult,
} from './ferry.js'
import type { Guest } from './guest.js'
import {
  bindVfioPci,
  createMtty,
  expectedPattern,
  findEdu,
  holdDevice,
  mdevPath,
  migrationState,
  pciPath,
  removeMtty,
  setPattern,
  takePattern,
} from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'
import { watchStates } from './state-watch.js'
import { giveGroup, NOBODY, unprivileged } from './unprivileged.js'

const profile = 'profiles/lab-mtty.yaml'
const functionProfile = 'test/lab/profiles/function.yaml'
let guest: Guest
let edu: string
let from: string
let to: string
let env: Readonly<Record<string, string>>

shareGuest(PLAIN, async (shared) => {
  guest = shared
  edu = await findEdu(guest)
  await bindVfioPci(guest, edu)
})

beforeEach(async () => {
  from = randomUUID()
  to = randomUUID()
  await createMtty(guest, from)
  await createMtty(guest, to)
  env = { SOURCE_UUID: from, DESTINATION_UUID: to, SOURCE_BDF: edu, DESTINATION_BDF: '0000:7f:1f.7' }
})

afterEach(async () => {
  await removeMtty(guest, from)
  await removeMtty(guest, to)
})

describe('a device in use', () => {
  it.each([
    { side: 'source', held: 'group' },
    { side: 'destination', held: 'cdev' },
  ] as const)(
    'blocks a run as its $side, held by its $held, and names who has it',
    async ({ held, side }) => {
      const before = await traces(guest)
      const device = mdevPath(side === 'source' ? from : to)
      const holder = await holdDevice(guest, device, { iommufd: held === 'cdev' })
      try {
        const run = await ferry<PlanResult>(guest, ['migrate', profile], env)
        expectExit(run, 3)
        expect(codesOf(run)).toEqual(['busy'])
        expect(run.error!.reasons).toMatchObject([{ side, device: 'mtty' }])
        expect(run.error!.reasons[0]!.found).toContain(String(holder.pid))
        expect(await traces(guest)).toBe(before)
      } finally {
        await holder.release()
      }
      expect(await migrationState(guest, from)).toBe('RUNNING')
    },
  )
})

describe('a run that is stopped', () => {
  /** 16 MiB at 1 MiB/s: a pre-copy that lasts until something ends it. */
  const slow = ['migrate', profile, '--set', 'migration.bandwidth=1MiB/s', '--max-time', '60s']

  /** A run in the middle of pre-copy, by the kernel's word. */
  async function midway() {
    await setPattern(guest, mdevPath(from))
    const watch = await watchStates(guest, [to, from])
    const run = await startFerry(guest, slow, env)
    await Promise.all([watch.until(from, 'PRE_COPY'), watch.until(to, 'RESUMING')])
    await watch.stop()
    return run
  }

  async function expectSourceRuns(): Promise<void> {
    expect(await migrationState(guest, from)).toBe('RUNNING')
    expect(await migrationState(guest, to)).toBe('RUNNING')
    expect(await vfioUsers(guest)).toBe('')
    expect(await takePattern(guest, mdevPath(from))).toEqual(expectedPattern)
  }

  it('by Ctrl-C: exit 4, the source RUNNING and as it was', async () => {
    const started = await midway()
    await started.kill('SIGINT')
    const run = await ended<RunResult>(slow, started)
    expectExit(run, 4)
    expect(run.result.outcome).toBe('cancelled')
    expect(run.result.report).toMatchObject({ cancelAsked: true, outcome: 'cancelled', exit: 4 })
    const records = await journal(guest, run.result.journal)
    expect(statesOf(records, 'source')).toEqual(['PRE_COPY', 'RUNNING'])
    expect(bodies(records, 'run-end')).toMatchObject([{ outcome: 'cancelled', exit: 4 }])
    await expectSourceRuns()
  })

  it('by the death of the destination’s helper: exit 5, the source RUNNING and as it was', async () => {
    const started = await midway()
    await guest.ok(`kill -9 ${String(await helperOf(to))}`)
    const run = await ended<RunResult>(slow, started)
    expectExit(run, 5)
    expect(run.result.outcome).toBe('rolled-back')
    expect(await migrationState(guest, from)).toBe('RUNNING')
    expect(await vfioUsers(guest)).toBe('')
    expect(await takePattern(guest, mdevPath(from))).toEqual(expectedPattern)
    // mtty keeps RESUMING past its last close; the next run clears that away by a reset.
    expect(await migrationState(guest, to)).toBe('RESUMING')
    expectExit(await ferry(guest, ['migrate', profile], env), 0)
    expect(await migrationState(guest, to)).toBe('RUNNING')
  })

  it('by the death of ferry itself: the helpers put everything back', async () => {
    const started = await midway()
    await started.kill('SIGKILL')
    await started.wait()
    for (const patience = Date.now() + 60_000; (await vfioUsers(guest)) !== '';) {
      if (Date.now() > patience) throw new Error('the helpers outlived ferry')
      await delay(200)
    }
    await expectSourceRuns()
    const { result } = await ferry<RunResult>(guest, ['report', 'last'])
    expect(result.outcome).toBe('incomplete')
  })

  it('by the death of ferry itself: recover goes on with the run, and what the source had is at the destination', async () => {
    const started = await midway()
    await started.kill('SIGKILL')
    await started.wait()
    const run = await ferry<RunResult & { readonly did: string }>(guest, ['recover', 'last'])
    expectExit(run, 0)
    expect(run.result).toMatchObject({ did: 'go-on', outcome: 'done' })
    expect(await migrationState(guest, to)).toBe('RUNNING')
    expect(await vfioUsers(guest)).toBe('')
    expect(await takePattern(guest, mdevPath(to))).toEqual(expectedPattern)
  })

  async function helperOf(uuid: string): Promise<number> {
    const node = `/dev/vfio/$(basename "$(readlink ${mdevPath(uuid)}/iommu_group)")`
    return Number(await guest.ok(`fuser "${node}" 2>/dev/null`))
  }
})

describe('somebody who is not root', () => {
  it('is told what to do, and nothing happens', async () => {
    const program = await unprivileged(guest)
    const run = await ferry<PlanResult>(guest, ['migrate', profile], env, { program })
    expectExit(run, 3)
    expect(codesOf(run)).toContain('host/not-root')
    expect(run.error!.reasons.map(({ side }) => side)).toEqual(
      expect.arrayContaining(['source', 'destination']),
    )
    expect(await guest.ok(`find /run/ferry-lab/unprivileged/state -type f`)).toBe('')
  })

  it('migrates mdevs whose groups are theirs, whatever memlock allows: nothing is pinned', async () => {
    const program = await unprivileged(guest, ['--memlock=65536'])
    for (const uuid of [from, to]) await giveGroup(guest, mdevPath(uuid))
    await setPattern(guest, mdevPath(from))
    const run = await ferry<RunResult>(guest, ['migrate', profile], env, { program })
    expectExit(run, 0)
    expect(await guest.ok(['stat', '-c', '%u', run.result.journal])).toBe(String(NOBODY))
    expect(await takePattern(guest, mdevPath(to))).toEqual(expectedPattern)
  })

  it('is refused a function whose memory memlock does not let them pin', async () => {
    await giveGroup(guest, pciPath(edu))
    const asked = { ...env, BACKEND: 'type1' }
    const small = await unprivileged(guest, ['--memlock=8388608'])
    const run = await ferry<PlanResult>(guest, ['pin', functionProfile], asked, { program: small })
    expectExit(run, 3)
    expect(codesOf(run)).toEqual(['host/memlock'])
    expect(run.error!.reasons[0]!.found).toMatch(/16 MiB.*8 MiB/u)

    const enough = await unprivileged(guest, ['--memlock=33554432'])
    const pinned = await ferry<RunResult & { readonly memlockBytes: string }>(
      guest,
      ['pin', functionProfile],
      asked,
      { program: enough },
    )
    expectExit(pinned, 0)
    expect(pinned.result.memlockBytes).toBe('33554432')
    expect(pinned.result.report.pins).toMatchObject([{ pages: 4096, lockedBytes: '16777216' }])
  })
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})
