import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toJson } from '../../src/json.js'
import type { Plan } from '../../src/plan/plan.js'
import { estimateTerms } from '../../src/forecast/estimate.js'
import { findSample, namedSample, type SampleInput } from '../../src/forecast/sample.js'
import type { EventRecord } from '../../src/journal/event.js'
import { planDigest } from '../../src/journal/plan-digest.js'
import { plan } from '../plan/hosts.js'
import { MIB, profile, simDevice } from '../plan/profiles.js'
import { Tape, twoTrackers } from '../report/records.js'

const given = profile([
  simDevice('vgpu', { model: 'mdev' }),
  simDevice('nic', { model: 'function', trackers: ['device', 'iommu'] }),
])
const made = plan(given)
const names = ['pinned:sim-mdevs', 'device:nic'] as const

let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'ferry-sample-'))
  mkdirSync(join(stateDir, 'runs'))
})
afterEach(() => rmSync(stateDir, { recursive: true }))

interface Made {
  readonly of?: Plan
  readonly command?: 'dirty-log' | 'migrate'
  readonly logged?: readonly number[]
  readonly outcome?: 'done' | 'cancelled' | null
}
/** Reads a second apart, of 2048 pinned pages and `logged` pages of the log. */
function tape(
  run: string,
  { of = made, command = 'dirty-log', logged = [100], outcome = 'done' }: Made = {},
) {
  const written = new Tape().add({
    type: 'run-start',
    ...{ run, command, profile: of.profile, file: 'x.yaml', version: '0.1.0', plan: planDigest(of) },
  })
  written.done(
    'source',
    'track',
    { trackers: [] },
    {
      trackers: [
        { tracker: names[0], pageSize: 4096 },
        { tracker: names[1], pageSize: 65_536 },
      ],
      bitmapBytes: '0',
    },
  )
  for (const pages of logged) {
    written.add({ type: 'phase-start', phase: 'dirty-log' }, 999_990)
    const trackers = twoTrackers([2048, 2040], [pages, pages - 8]).map((entry, index) => ({
      ...entry,
      tracker: names[index] ?? '',
    }))
    const unionPages = 2040 + pages
    written.done(
      'source',
      'dirty',
      {},
      { elapsedUs: 1, trackers, unionPages, unionBytes: `${unionPages * 4096}` },
    )
  }
  return outcome === null ? written : written.end(outcome, 0)
}
function save(run: string, over: Made = {}): string {
  const path = join(stateDir, 'runs', `${run}.ndjson`)
  const { records } = tape(run, over)
  writeFileSync(path, records.map((record: EventRecord) => `${toJson(record)}\n`).join(''))
  return path
}
const input = (over: Partial<SampleInput> = {}): SampleInput => ({
  plan: made,
  stateDir,
  terms: estimateTerms(null, null, 300),
  nowMs: Date.UTC(2026, 10, 22, 17, 17, 33),
  ...over,
})
const id = (minute: number): string => `20261122T15${String(minute).padStart(2, '0')}00-aaaa`

describe('a sample', () => {
  it('has figures for each tracker: pages a round, the rate of distinct pages, the share of the memory', () => {
    save(id(1), { logged: [100, 300, 200, 1000] })
    const { sample } = findSample(input())
    expect(sample).toMatchObject({ run: id(1), misfits: [], rounds: 4, spanUs: 4_000_000, ageMs: 7_200_000 })
    const [pinned, device] = sample!.trackers
    expect(device).toEqual({
      tracker: 'device:nic',
      kind: 'device',
      covers: ['nic'],
      unitBytes: 65_536,
      pages: { min: 100, median: 200, max: 1000 },
      onlyPages: 192,
      bytesPerSecond: 400n * 4096n,
      atMost: false,
      share: (200 * 4096) / (512 * 1024 * 1024),
    })
    // What comes back at every read has no rate.
    expect(pinned).toMatchObject({ pages: { min: 2048, median: 2048, max: 2048 }, bytesPerSecond: null })
    expect(sample!.union.pages).toEqual({ min: 2140, median: 2240, max: 3040 })
    expect(sample!.union).toMatchObject({ bytesPerSecond: 2440n * 4096n, atMost: true })
  })
  it('is judged by the bandwidth: 8 MiB of pinned pages fit 300 ms at 1 GiB/s and not at 10 MiB/s', () => {
    save(id(1))
    expect(findSample(input()).sample!.estimate).toMatchObject({ assumed: true, converges: true })
    const slow = findSample(input({ terms: estimateTerms(10n * MIB, null, 300) })).sample!.estimate!
    expect(slow).toMatchObject({ assumed: false, bandwidth: 10n * MIB, converges: false })
    expect(slow.floorBytes).toBe(8n * MIB)
    expect(estimateTerms(null, 5n, 300)).toMatchObject({ bandwidth: 5n, assumed: false })
  })
})

describe('which sample', () => {
  const other = (over: Parameters<typeof profile>[1]) => plan(profile(given.devices, over))
  it('none: there is no run, or no run of the profile', () => {
    expect(findSample(input())).toEqual({ sample: null, passedOver: null })
    save(id(1), { of: other({ name: 'another' }) })
    save(id(2), { command: 'migrate' })
    expect(findSample(input())).toEqual({ sample: null, passedOver: null })
  })
  it('the newest finished one', () => {
    save(id(1))
    save(id(2))
    save(id(3), { outcome: 'cancelled' })
    save(id(4), { outcome: null })
    save(id(5), { logged: [] })
    writeFileSync(join(stateDir, 'runs', `${id(6)}.ndjson`), 'not a journal')
    writeFileSync(join(stateDir, 'runs', `${id(7)}.ndjson`), '')
    expect(findSample(input()).sample!.run).toBe(id(2))
  })
  it('never one of other devices or other memory; it says which it passed over, and why', () => {
    const less = plan(profile([given.devices[0]!]))
    const region = { ...given.memory[0]!, bytes: 1024n * MIB }
    save(id(1), { of: other({ memory: [region] }) })
    save(id(2), { of: less })
    const found = findSample(input())
    expect(found.sample).toBeNull()
    expect(found.passedOver).toMatchObject({ run: id(2) })
    expect(found.passedOver!.misfits.map(({ what }) => what)).toEqual(['devices', 'trackers'])
    expect(found.passedOver!.misfits[0]!.text).toBe('other devices: vgpu')
  })
  it('one with the plan’s trackers before a newer one with others, which has to do when there is no better', () => {
    const trackers = {
      prefer: 'iommu',
      forbidAll: false,
      mixedContainers: 'refuse',
      iommuHugePages: 'split',
      process: null,
    } as const
    save(id(2), { of: other({ trackers }) })
    const misfit = findSample(input()).sample!
    expect(misfit.misfits.map(({ what }) => what)).toEqual(['trackers'])
    expect(misfit.misfits[0]!.text).toContain('iommu:sim-functions-dirty for nic')
    save(id(1))
    expect(findSample(input()).sample).toMatchObject({ run: id(1), misfits: [] })
  })
  it('one that is named, by run or file, fitting or not', () => {
    const path = save(id(1), {
      of: plan(profile([given.devices[0]!], { name: 'another' })),
      outcome: 'cancelled',
    })
    for (const run of [id(1), path, '20261122T1501']) {
      const sample = namedSample(run, input())
      expect(sample.misfits.map(({ what }) => what)).toEqual(['outcome', 'profile', 'devices', 'trackers'])
    }
    save(id(2), { command: 'migrate' })
    save(id(3), { logged: [] })
    for (const run of [id(2), id(3)]) {
      expect(() => namedSample(run, input())).toThrow(expect.objectContaining({ code: 'usage/sample' }))
    }
    expect(() => namedSample('20250101', input())).toThrow(expect.objectContaining({ exit: 2 }))
  })
})
