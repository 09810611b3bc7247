import type { TrackerKind } from '../protocol/protocol.js'
import type { DirtyRead, TrackerReport } from '../report/report.js'

export interface Estimate {
  /** Bytes dirtied per second beyond the floor, averaged over the reads. */
  readonly dirtyBytesPerSecond: bigint
  /** What every round has to send at least, whatever the bandwidth. */
  readonly floorBytes: bigint
  readonly converges: boolean
  /** Rounds until a further one would leave no less, or the most that were tried. */
  readonly rounds: number
  readonly remainingBytes: bigint
  readonly blackoutUs: number
}
export interface EstimateInput {
  readonly memoryBytes: bigint
  readonly stateBytes: bigint
  readonly fixedBlackoutUs: number
  /** Bytes per second the transfer is taken to reach. */
  readonly bandwidth: bigint
  readonly downtimeLimitUs: number
  readonly pageSize: number
  readonly trackers: readonly TrackerReport[]
  readonly reads: readonly DirtyRead[]
}

const MOST_ROUNDS = 30
/** Assumed when the speed of the link is not given; every use says that it is assumed. */
export const ASSUMED_BANDWIDTH = 1024n ** 3n

/** What an estimate took for granted. */
export interface EstimateTerms {
  /** Bytes per second. */
  readonly bandwidth: bigint
  /** The speed was not given. */
  readonly assumed: boolean
  readonly downtimeLimitUs: number
}

/** `given`: bytes per second by a flag; `planned`: by the profile. */
export function estimateTerms(
  given: bigint | null,
  planned: bigint | null,
  downtimeLimitMs: number,
): EstimateTerms {
  const known = given ?? planned
  return {
    bandwidth: known ?? ASSUMED_BANDWIDTH,
    assumed: known === null,
    downtimeLimitUs: downtimeLimitMs * 1000,
  }
}

/**
 * How a pre-copy would go if the devices went on writing as they did: each round sends what the one before left,
 * and leaves the floor and what was written meanwhile. It takes every write for one to a fresh page, so devices
 * that write the same pages over and over do better. Null when there is nothing to go by.
 */
export function estimate(input: EstimateInput): Estimate | null {
  const { bandwidth, fixedBlackoutUs, memoryBytes, reads, stateBytes } = input
  const timeUs = reads.reduce((sum, read) => sum + read.intervalUs, 0)
  if (bandwidth <= 0n || timeUs <= 0) return null
  const floorBytes = floorOf(input)
  const dirtyBytesPerSecond = (writtenOf(reads, floorBytes) * 1_000_000n) / BigInt(timeUs)
  const blackoutOf = (bytes: bigint): number =>
    fixedBlackoutUs + Number(((bytes + stateBytes) * 1_000_000n) / bandwidth)
  let remaining = memoryBytes
  let rounds = 0
  while (rounds < MOST_ROUNDS) {
    rounds++
    const wrote = (remaining * dirtyBytesPerSecond) / bandwidth
    const next = atMost(floorBytes + wrote, memoryBytes)
    const settled = next >= remaining
    remaining = next
    if (settled || blackoutOf(remaining) <= input.downtimeLimitUs) break
  }
  const blackoutUs = blackoutOf(remaining)
  return {
    dirtyBytesPerSecond,
    floorBytes,
    converges: blackoutUs <= input.downtimeLimitUs,
    rounds,
    remainingBytes: remaining,
    blackoutUs,
  }
}

/**
 * Trackers of these kinds show some pages however short the round, written or not: those that are pinned, or all. What
 * they show has no rate that could be told from it.
 */
export const CONSTANT: ReadonlySet<TrackerKind> = new Set<TrackerKind>(['pinned', 'all'])

/**
 * What they show bounds every round from below: no more of it can be constant than the least that a read showed. Their
 * pages may overlap, so the largest tracker counts, not the sum.
 */
function floorOf({ pageSize, reads, trackers }: EstimateInput): bigint {
  const floors = trackers
    .filter(({ kind }) => CONSTANT.has(kind))
    .map(({ tracker }) => {
      const pages = reads.map((read) => read.trackers.find((entry) => entry.tracker === tracker)?.pages ?? 0)
      return pages.length === 0 ? 0 : Math.min(...pages)
    })
  return BigInt(Math.max(0, ...floors)) * BigInt(pageSize)
}

/** What the trackers that can tell saw written: everything in the union beyond the floor. */
function writtenOf(reads: readonly DirtyRead[], floorBytes: bigint): bigint {
  return reads.reduce(
    (sum, read) => sum + (read.unionBytes > floorBytes ? read.unionBytes - floorBytes : 0n),
    0n,
  )
}

function atMost(value: bigint, limit: bigint): bigint {
  return value < limit ? value : limit
}
