// What the plan refuses on the real kernel: each with its code, with exit 3, and with nothing done.
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { codesOf, expectExit, ferry, traces, vfioUsers, type FerryRun, type PlanResult } from './ferry.js'
import type { Guest } from './guest.js'
import { bindVfioPci, createMtty, migrationState } from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'

const [from, to] = [randomUUID(), randomUUID()]
const functionProfile = 'test/lab/profiles/function.yaml'
const mttyProfile = 'profiles/lab-mtty.yaml'
let guest: Guest
let env: Readonly<Record<string, string>>
let before: string

shareGuest(PLAIN, async (shared) => {
  guest = shared
  await createMtty(guest, from)
  await createMtty(guest, to)
  const cards = (
    await guest.ok('grep -l 0x11e8 /sys/bus/pci/devices/*/device | xargs -n1 dirname | xargs -n1 basename')
  ).split('\n')
  expect(cards).toHaveLength(2)
  for (const card of cards) await bindVfioPci(guest, card)
  const [source = '', destination = ''] = cards
  env = { SOURCE_UUID: from, DESTINATION_UUID: to, SOURCE_BDF: source, DESTINATION_BDF: destination }
})

beforeEach(async () => {
  before = await traces(guest)
})

/** No journal, no claim, no open device: no one began anything. */
async function expectNothingDone(run: FerryRun<unknown>): Promise<void> {
  expectExit(run, 3)
  expect(run.error).toMatchObject({ code: 'plan/blocked' })
  for (const reason of run.error!.reasons) {
    expect(reason.found).not.toBe('')
    expect(reason.remedy).not.toBe('')
  }
  expect(await traces(guest)).toBe(before)
  expect(before).not.toContain('.lock')
  expect(await vfioUsers(guest)).toBe('')
  for (const uuid of [from, to]) expect(await migrationState(guest, uuid)).toBe('RUNNING')
}

describe('ferry migrate', () => {
  it('refuses a function on plain vfio-pci', async () => {
    const run = await ferry<PlanResult>(guest, ['migrate', functionProfile], env)
    await expectNothingDone(run)
    expect(codesOf(run)).toEqual(['generic-driver'])
    expect(run.error!.reasons.map(({ device, found, side }) => [side, device, found])).toEqual([
      ['source', 'card', expect.stringContaining(env['SOURCE_BDF']!)],
      ['destination', 'card', expect.stringContaining(env['DESTINATION_BDF']!)],
    ])
    expect(run.result.plan.steps).toEqual([])
  })

  it('names a device that is not there', async () => {
    const absent = randomUUID()
    const run = await ferry(guest, ['migrate', mttyProfile], { ...env, SOURCE_UUID: absent })
    await expectNothingDone(run)
    expect(codesOf(run)).toEqual(['plan/no-such-device'])
    expect(run.error!.reasons[0]!.found).toContain(absent)
    expect(run.error!.reasons[0]!.remedy).toContain(from)
  })
})

describe('ferry dirty-log', () => {
  it('refuses the pinned scope for a function even where nothing is to migrate', async () => {
    const asked = { ...env, BACKEND: 'type1', TRACKER: 'pinned' }
    const run = await ferry(guest, ['dirty-log', functionProfile], asked)
    await expectNothingDone(run)
    expect(codesOf(run)).toEqual(['plan/pinned-needs-emulated'])
  })
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})
