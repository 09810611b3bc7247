import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { moved, reportAgrees } from '../support/expect.js'
import { Scene } from '../support/scene.js'
import { device, region, workload } from '../support/workload.js'

const MIB = 1024 * 1024

describe.concurrent('a workload moves', () => {
  it.each([
    ['stop-copy alone', ['stop-copy']],
    ['stop-copy and p2p', ['stop-copy', 'p2p']],
    ['stop-copy and pre-copy', ['stop-copy', 'pre-copy']],
    ['all flags', ['stop-copy', 'p2p', 'pre-copy']],
  ])('with a device of %s', async (_, flags) => {
    const scene = new Scene()
    const precopy = flags.includes('pre-copy') ? '256KiB' : '0B'
    const result = await scene.migrate(workload([device('nic', { flags, precopy })]))
    await moved(result, scene)
    const states = scene.journal().states('source', 'nic')
    expect(states.includes('PRE_COPY')).toBe(flags.includes('pre-copy'))
    expect(states.some((state) => state.endsWith('_P2P'))).toBe(flags.includes('p2p'))
  })

  it.each([
    ['pinned', { model: 'mdev', trackers: ['pinned'] }],
    ['device', { model: 'function', trackers: ['device'] }],
    ['iommu', { model: 'function', trackers: ['iommu'] }],
    ['all', { model: 'function', trackers: ['all'] }],
    ['device, for an mdev', { model: 'mdev', trackers: ['device'] }],
  ] as const)('tracked by %s', async (kind, sim) => {
    const scene = new Scene()
    const result = await scene.migrate(workload([device('dev', sim)]))
    await moved(result, scene)
    const report = result.envelope?.result.report
    expect(report.devices[0].trackers).toEqual([kind.replace(/,.*/u, '')])
    expect(report.verification.full).toEqual({ pages: 4096, mismatches: [] })
  })

  it.each([
    [false, 'full'],
    [false, 'none'],
    [true, 'none'],
  ])('loopback: %s, verify: %s', async (loopback, verify) => {
    const scene = new Scene()
    const result = await scene.migrate(
      workload([device('nic')], { transport: { loopback }, migration: { verify } }),
    )
    await moved(result, scene)
    const { report } = result.envelope?.result ?? {}
    expect(report.verification.full === null).toBe(verify === 'none')
    expect(report.cutover.blackout.verifyUs > 0).toBe(verify === 'full')
  })

  it('with several devices, all trackers at once, and windows that overlap', async () => {
    const scene = new Scene()
    const devices = [
      device('vgpu', { model: 'mdev', trackers: ['pinned'], seed: 1, window: { iova: 0, size: '4MiB' } }),
      device('nic', { seed: 2, window: { iova: '2MiB', size: '8MiB' }, pattern: 'hot' }),
      device('disk', { trackers: ['iommu'], seed: 3, window: { iova: '4MiB', size: '8MiB' } }),
      device('fpga', {
        trackers: ['all'],
        seed: 4,
        window: { iova: 0, size: '16MiB' },
        pattern: 'sequential',
      }),
    ]
    const result = await scene.migrate(workload(devices))
    await moved(result, scene)
    const { report } = result.envelope?.result ?? {}
    expect(report.trackers.map(({ kind }: { kind: string }) => kind).sort()).toEqual([
      'all',
      'device',
      'iommu',
      'pinned',
    ])
    expect(report.devices.every(({ moved }: { moved: boolean }) => moved)).toBe(true)
    await reportAgrees(result, scene)
  })

  it('with holes between its memory regions, one of them a file on each side', async () => {
    const scene = new Scene()
    const files = ['source', 'destination'].map((side) => join(scene.folder, side))
    const [source = '', destination = ''] = files
    // What stands in the source's file before the run must arrive too: nothing fills it.
    writeFileSync(source, Buffer.alloc(4 * MIB, 'what the guest had there. '))
    const empty = openSync(destination, 'w')
    ftruncateSync(empty, 4 * MIB)
    closeSync(empty)
    const memory = [
      region('low', 0, '8MiB'),
      region('rom', 0x1000_0000, '4MiB', {
        backing: { source: { file: source }, destination: { file: destination } },
        fill: null,
      }),
      region('high', '0x100000000', '8MiB'),
    ]
    const devices = [
      device('nic', { seed: 1, window: { iova: 0, size: '8MiB' } }),
      device('disk', { seed: 2, window: { iova: 0x1000_0000, size: '2MiB' } }),
      device('gpu', { seed: 3, window: { iova: '0x100000000', size: '8MiB' }, trackers: ['iommu'] }),
    ]
    const result = await scene.migrate(workload(devices, { memory }))
    await moved(result, scene)
    // Helpers are gone: what the destination's devices wrote after the commit lies in the window, the rest is equal.
    const [before = Buffer.of(), after = Buffer.of()] = files.map((file) => readFileSync(file))
    expect(after.length).toBe(4 * MIB)
    expect(after.subarray(2 * MIB).equals(before.subarray(2 * MIB))).toBe(true)
    expect(after.subarray(2 * MIB, 2 * MIB + 60).toString()).toContain('guest')
    expect(result.envelope?.result.report.memoryBytes).toBe(String(20 * MIB))
  })

  it('a file behind memory that nothing writes is byte for byte the same afterwards', async () => {
    const scene = new Scene()
    const files = [join(scene.folder, 'source'), join(scene.folder, 'destination')] as const
    const content = Buffer.from(Array.from({ length: 4 * MIB }, (_, at) => (at * 31 + (at >> 12)) & 0xff))
    writeFileSync(files[0], content)
    writeFileSync(files[1], Buffer.alloc(4 * MIB, 0xff))
    const memory = [
      region('ram', 0, '8MiB'),
      region('shared', '1GiB', '4MiB', {
        backing: { source: { file: files[0] }, destination: { file: files[1] } },
        fill: null,
      }),
    ]
    const result = await scene.migrate(workload([device('nic')], { memory }))
    await moved(result, scene)
    expect(readFileSync(files[1]).equals(content)).toBe(true)
  })

  it('without ever converging, when the profile says go ahead and the limit holds all the same', async () => {
    const scene = new Scene()
    // Every page is dirty in every round: no number of rounds makes what remains less than 16 MiB.
    const result = await scene.migrate(
      workload([device('nic', { trackers: ['all'] })], {
        migration: { onNotConverged: 'cutover', precopy: { rounds: 50, time: '20s' }, bandwidth: '64MiB/s' },
      }),
      '--max-rounds',
      '2',
    )
    await moved(result, scene)
    const { report } = result.envelope?.result ?? {}
    expect(report.precopy.rounds).toBeLessThanOrEqual(2)
    expect(report.cutover.lastPages).toBe(4096)
    expect(report.cutover.blackout.totalUs).toBeLessThanOrEqual(report.cutover.downtimeLimitUs)
  })

  it('that does nothing at all', async () => {
    const scene = new Scene()
    const result = await scene.migrate(workload([device('nic', { writes: '0B/s' })]))
    await moved(result, scene)
    expect(result.envelope?.result.report.cutover.lastPages).toBe(0)
  })

  it('whose device ends pre-copy by 0 instead of ENOMSG', async () => {
    const scene = new Scene()
    const faults = [{ kind: 'precopy-ends-with-zero' }]
    await moved(await scene.migrate(workload([device('nic', { faults })])), scene)
  })
})
