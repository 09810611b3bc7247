// profiles/lab-mtty.yaml on the real kernel, by both backends: what was in the source device's registers is in the
// destination's afterwards, or, where the move cannot work, still in the source's.
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { bodies, expectExit, ferry, ferryEnv, journal, statesOf, vfioUsers, type RunResult } from './ferry.js'
import type { Guest } from './guest.js'
import {
  createMtty,
  expectedPattern,
  migrationState,
  peekPort,
  PATTERN,
  removeMtty,
  setPattern,
  takePattern,
  type MttyType,
} from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'
import { watchStates } from './state-watch.js'

const profile = 'profiles/lab-mtty.yaml'
/** 16 MiB, a quarter of it zero pages. */
const PAGES = 4096
let guest: Guest
let made: string[] = []

async function pair(destination: MttyType = 'mtty-2') {
  const uuids = { from: randomUUID(), to: randomUUID() }
  const from = await createMtty(guest, uuids.from, 'mtty-2')
  const to = await createMtty(guest, uuids.to, destination)
  made.push(uuids.from, uuids.to)
  const env = { SOURCE_UUID: uuids.from, DESTINATION_UUID: uuids.to }
  return { uuids, from, to, env }
}

shareGuest(PLAIN, (shared) => {
  guest = shared
})

afterEach(async () => {
  for (const uuid of made) await removeMtty(guest, uuid)
  made = []
})

describe.each([
  { backend: 'type1', tracker: 'pinned', iommufd: false },
  { backend: 'iommufd', tracker: 'device', iommufd: true },
] as const)('ferry migrate through $backend', ({ backend, iommufd, tracker }) => {
  it('moves mtty-2 from one mdev to another, registers, FIFOs and all', async () => {
    const { env, from, to, uuids } = await pair()
    await setPattern(guest, from)
    // The destination first: a sight of it running is older than the next sight of the source.
    const watch = await watchStates(guest, [uuids.to, uuids.from])
    // Slow enough for the watcher to see the states that last as long as pre-copy does.
    const args = ['migrate', profile, '--set', 'migration.bandwidth=16MiB/s']
    const run = await ferry<RunResult>(guest, args, { ...env, BACKEND: backend })
    await watch.stop()
    expectExit(run, 0)

    const { report } = run.result
    expect(run.result.outcome).toBe('done')
    expect(report).toMatchObject({ outcome: 'done', exit: 0, error: null, failedSteps: [], unfinished: [] })
    expect(report.devices).toMatchObject([
      {
        device: 'mtty',
        source: uuids.from,
        destination: uuids.to,
        backend,
        trackers: [tracker],
        stateBytes: '96',
        moved: true,
      },
    ])
    expect(report.verification.full).toEqual({ pages: PAGES, mismatches: [] })
    const { blackout, downtimeLimitUs } = report.cutover!
    const { totalUs, ...parts } = blackout
    expect(totalUs).toBeGreaterThan(0)
    expect(totalUs).toBeLessThanOrEqual(downtimeLimitUs!)
    expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBe(totalUs)
    // mtty has no DMA: the first round sends all there is, and nothing is dirty after it.
    expect(report.rounds).toMatchObject([{ pages: PAGES, dirtyPages: 0 }])
    const { sentBytes, zeroPages } = report.rounds[0]!
    expect(zeroPages).toBeGreaterThan(0)
    expect(Number(sentBytes)).toBe((PAGES - zeroPages) * 4096)
    expect(report.cutover).toMatchObject({ outcome: 'running', lastPages: 0, lastBytes: '0' })

    const records = await journal(guest, run.result.journal)
    expect(statesOf(records, 'source')).toEqual(['PRE_COPY', 'PRE_COPY_P2P', 'STOP_COPY'])
    expect(statesOf(records, 'destination')).toEqual(['RESUMING', 'STOP', 'RUNNING_P2P', 'RUNNING'])

    // The same from the kernel, which knows of no journal. Short states may pass between two looks.
    const of = (uuid: string) => watch.seen.filter(({ device }) => device === uuid).map(({ state }) => state)
    expect(of(uuids.from).slice(0, 2)).toEqual(['RUNNING', 'PRE_COPY'])
    expect(of(uuids.to).slice(0, 2)).toEqual(['RUNNING', 'RESUMING'])
    expect(await migrationState(guest, uuids.to)).toBe('RUNNING')
    expect(['STOP', 'STOP_COPY']).toContain(await migrationState(guest, uuids.from))
    expect(neverBothRun(watch.seen, uuids.from, uuids.to)).toBe(true)

    const saved = await ferry<RunResult>(guest, ['report', 'last'])
    expect(saved.result).toEqual({ ...run.result, torn: false })

    expect(await vfioUsers(guest)).toBe('')
    expect(await takePattern(guest, to, { iommufd })).toEqual(expectedPattern)
  })

  it('refuses a destination of the other type at its load: the source runs on, registers intact', async () => {
    const { env, from, uuids } = await pair('mtty-1')
    await setPattern(guest, from)
    const run = await ferry<RunResult>(guest, ['migrate', profile], { ...env, BACKEND: backend })
    expectExit(run, 5)
    expect(run.result.outcome).toBe('rolled-back')
    expect(run.error).toMatchObject({ code: 'device/stream-write', device: 'mtty', errnoName: 'EFAULT' })
    expect(run.error!.message).toMatch(/the destination gave up: .*Bad address.*not compatible/u)

    expect(await migrationState(guest, uuids.from)).toBe('RUNNING')
    expect(await migrationState(guest, uuids.to)).toBe('RUNNING')
    const records = await journal(guest, run.result.journal)
    expect(statesOf(records, 'source').at(-1)).toBe('RUNNING')
    expect(statesOf(records, 'destination')).not.toContain('RUNNING_P2P')
    const [end] = bodies(records, 'run-end')
    expect(end).toMatchObject({ outcome: 'rolled-back', exit: 5, error: { code: 'device/stream-write' } })
    // The cause stands where the destination failed, not only at the end.
    expect(bodies(records, 'outcome').flatMap(({ error }) => (error ? [error] : []))).toContainEqual(
      expect.objectContaining({
        code: 'device/stream-write',
        device: 'mtty',
        message: expect.stringContaining('Bad address'),
      }),
    )

    expect(await vfioUsers(guest)).toBe('')
    expect(await takePattern(guest, from, { iommufd })).toEqual(expectedPattern)
  })
})

it('warns in the plan that the types and state sizes differ, and does no more', async () => {
  const { env } = await pair('mtty-1')
  const run = await ferry<{ readonly plan: { readonly warnings: readonly { readonly code: string }[] } }>(
    guest,
    ['plan', profile],
    env,
  )
  expectExit(run, 0)
  const codes = run.result.plan.warnings.map(({ code }) => code)
  expect(codes).toEqual(expect.arrayContaining(['plan/type-differs', 'plan/state-size-differs']))
})

it('moves a device there and back again: a source that was left stopped is no obstacle', async () => {
  const { env, from, to, uuids } = await pair()
  await setPattern(guest, from)
  expectExit(await ferry(guest, ['migrate', profile], env), 0)
  expect(await peekPort(guest, to, 1)).toMatchObject({ scr: PATTERN[1].scr })
  const back = { SOURCE_UUID: uuids.to, DESTINATION_UUID: uuids.from }
  expectExit(await ferry(guest, ['migrate', profile], back), 0)
  expect(await takePattern(guest, from)).toEqual(expectedPattern)
})

it('prints for people what it prints for scripts', async () => {
  const { env } = await pair()
  const { exit, stderr, stdout } = await guest.run(['ferry', 'migrate', profile], { env: ferryEnv(env) })
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' })
  for (const part of ['quiesce', 'last pages', 'state', 'load', 'verify', 'resume']) {
    expect(stdout).toMatch(new RegExp(`^ *${part} +\\S`, 'mu'))
  }
  expect(stdout).toContain('done and verified: the destination runs')
  expect(await guest.ok(['ferry', 'report', 'last'])).toContain(stdout.trim().split('\n')[0])
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})

/** Both are RUNNING before the run: it counts from the destination's RESUMING on. */
function neverBothRun(
  seen: readonly { readonly device: string; readonly state: string }[],
  from: string,
  to: string,
): boolean {
  let [source, destination, loading] = ['RUNNING', 'RUNNING', false]
  for (const { device, state } of seen) {
    if (device === from) source = state
    if (device === to) destination = state
    if (device === to && state === 'RESUMING') loading = true
    if (loading && destination.startsWith('RUNNING') && !source.startsWith('STOP')) return false
  }
  return loading
}
