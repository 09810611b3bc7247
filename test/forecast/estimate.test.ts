import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { estimate, type EstimateInput } from '../../src/forecast/estimate.js'
import type { DirtyRead } from '../../src/report/report.js'

const MIB = 1024n * 1024n
const TRACKERS = [
  { tracker: 'pinned:m', kind: 'pinned', covers: ['v'], everyPage: false, reason: '', refused: [] },
  { tracker: 'device:n', kind: 'device', covers: ['n'], everyPage: false, reason: '', refused: [] },
] as const

/** A second in which `pinned` and `logged` MiB were dirty. */
function read(round: number, pinned: number, logged: number): DirtyRead {
  const pages = (mib: number): number => mib * 256
  return {
    round,
    intervalUs: 1_000_000,
    elapsedUs: 1,
    trackers: [
      { tracker: 'pinned:m', pages: pages(pinned), elapsedUs: 1 },
      { tracker: 'device:n', pages: pages(logged), elapsedUs: 1 },
    ],
    unionPages: pages(pinned + logged),
    unionBytes: BigInt(pinned + logged) * MIB,
  }
}
function input(over: Partial<EstimateInput>): EstimateInput {
  return {
    memoryBytes: 1024n * MIB,
    stateBytes: 0n,
    fixedBlackoutUs: 0,
    bandwidth: 1024n * MIB,
    downtimeLimitUs: 100_000,
    pageSize: 4096,
    trackers: TRACKERS,
    reads: [read(1, 0, 64)],
    ...over,
  }
}

describe('estimate', () => {
  it('sends what the round before left, until it fits', () => {
    // 1 GiB takes a second, in which 64 MiB are written: 62.5 ms.
    expect(estimate(input({}))).toEqual({
      dirtyBytesPerSecond: 64n * MIB,
      floorBytes: 0n,
      converges: true,
      rounds: 1,
      remainingBytes: 64n * MIB,
      blackoutUs: 62_500,
    })
    expect(estimate(input({ downtimeLimitUs: 10_000 }))).toMatchObject({
      rounds: 2,
      remainingBytes: 4n * MIB,
    })
  })

  it('never gets below what a tracker cannot tell apart, nor below state and transitions', () => {
    const floor = estimate(input({ reads: [read(1, 256, 0)] }))
    expect(floor).toMatchObject({ floorBytes: 256n * MIB, dirtyBytesPerSecond: 0n, converges: false })
    expect(floor?.blackoutUs).toBe(250_000)
    const fixed = estimate(input({ reads: [read(1, 0, 0)], stateBytes: 512n * MIB, fixedBlackoutUs: 7 }))
    expect(fixed).toMatchObject({ blackoutUs: 500_007, converges: false })
  })

  it('takes for constant no more than the least a read showed', () => {
    // An mdev that pins nothing: what its container reports comes and goes with what was written.
    const found = estimate(input({ reads: [read(1, 8, 0), read(2, 40, 0), read(3, 12, 0)] }))
    expect(found).toMatchObject({ floorBytes: 8n * MIB, dirtyBytesPerSecond: 12n * MIB })
  })

  it('does not converge when devices write faster than the link carries', () => {
    expect(estimate(input({ reads: [read(1, 0, 2048)] }))).toMatchObject({
      converges: false,
      remainingBytes: 1024n * MIB,
    })
  })

  it('says nothing without a read or a bandwidth', () => {
    expect(estimate(input({ reads: [] }))).toBeNull()
    expect(estimate(input({ bandwidth: 0n }))).toBeNull()
  })

  it('more bandwidth never makes it worse', () => {
    const mib = fc.integer({ min: 1, max: 4096 })
    fc.assert(
      fc.property(mib, mib, fc.nat(512), fc.nat(2048), (a, b, pinned, logged) => {
        const [slow, fast] = [Math.min(a, b), Math.max(a, b)].map((speed) =>
          estimate(input({ bandwidth: BigInt(speed) * MIB, reads: [read(1, pinned, logged)] })),
        )
        expect(Number(slow?.converges)).toBeLessThanOrEqual(Number(fast?.converges))
      }),
    )
  })
})
