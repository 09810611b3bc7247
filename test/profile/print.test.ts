import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  Backing,
  DeviceRef,
  MemoryRegion,
  Profile,
  ProfileDevice,
  Sim,
} from '../../src/profile/profile.js'
import { parseProfile } from '../../src/profile/parse.js'
import { printProfile } from '../../src/profile/print.js'
import { ends, handOut, hooks, migration, nth, path, rate } from './run-arbitraries.js'
import { parse, VALID } from './samples.js'

const PAGE = 4096n
const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const us = fc.integer({ min: 0, max: 10 ** 10 })
const states = fc.constantFrom(
  'STOP',
  'RUNNING',
  'STOP_COPY',
  'RESUMING',
  'RUNNING_P2P',
  'PRE_COPY',
  'PRE_COPY_P2P',
  'ERROR',
)
const hexDigits = (count: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${count}}$`, 'u'))

const backing: fc.Arbitrary<Backing> = fc.oneof(
  fc.constant<Backing>({ kind: 'memfd', hugePageBytes: null }),
  fc.constant<Backing>({ kind: 'memfd', hugePageBytes: 2n * 1024n * 1024n }),
  path.map<Backing>((file) => ({ kind: 'file', path: file })),
)
const fault: fc.Arbitrary<Sim['faults'][number]> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('transition' as const),
      state: states,
      nth,
      errno: fc.constant('EIO'),
      enterError: fc.boolean(),
    },
    { requiredKeys: ['kind', 'state'] },
  ),
  fc.bigInt(0n, 2n ** 40n).map((bytes) => ({ kind: 'short-stream' as const, bytes: bytes.toString() })),
  fc.bigInt(0n, 2n ** 40n).map((bytes) => ({ kind: 'short-reads' as const, bytes: bytes.toString() })),
  us.map((delayUs) => ({ kind: 'slow-stop' as const, delayUs })),
  nth.map((read) => ({ kind: 'drop-dirty-bit' as const, nth: read })),
  fc.constantFrom({ kind: 'endless-stream' as const }, { kind: 'reset-fails' as const }),
)

const sim = (regions: readonly MemoryRegion[]): fc.Arbitrary<Sim> =>
  fc
    .record({
      model: fc.constantFrom('mdev' as const, 'function' as const),
      flags: fc.subarray(['stop-copy', 'p2p', 'pre-copy'] as const),
      trackers: fc.subarray(['pinned', 'device', 'iommu', 'all'] as const),
      stateBytes: fc.bigInt(1n, 2n ** 40n),
      stateBytesPerSecond: fc.option(rate),
      seed,
      region: fc.nat(regions.length - 1),
      writeBytesPerSecond: rate,
      pattern: fc.constantFrom('uniform' as const, 'hot' as const, 'sequential' as const),
      latencyUs: fc.dictionary(states, us),
      faults: fc.array(fault, { maxLength: 3 }),
    })
    .map(({ region, ...rest }) => ({
      ...rest,
      latencyUs: { ...rest.latencyUs },
      precopyBytes: rest.stateBytes / 2n,
      window: { iova: regions[region]?.iova ?? 0n, bytes: PAGE },
    }))

function device(name: string, regions: readonly MemoryRegion[]): fc.Arbitrary<ProfileDevice> {
  const reference: fc.Arbitrary<readonly [DeviceRef, DeviceRef]> = fc.oneof(
    sim(regions).map(
      (spec) =>
        [
          { kind: 'sim', sim: spec },
          { kind: 'sim', sim: spec },
        ] as const,
    ),
    fc.tuple(hexDigits(12), hexDigits(12)).map(
      ([a, b]) =>
        [
          { kind: 'mdev', uuid: `00000000-0000-4000-8000-${a}` },
          { kind: 'mdev', uuid: `00000000-0000-4000-8000-${b}` },
        ] as const,
    ),
    fc.tuple(hexDigits(2), hexDigits(2)).map(
      ([a, b]) =>
        [
          { kind: 'function', bdf: `0000:${a}:00.0` },
          { kind: 'function', bdf: `0000:${b}:00.1` },
        ] as const,
    ),
  )
  return fc
    .tuple(reference, fc.constantFrom('auto' as const, 'device' as const), fc.option(fc.constant('c1')))
    .map(([[source, destination], tracker, container]) => ({
      name,
      source,
      destination,
      backend: 'auto' as const,
      tracker,
      container,
    }))
}

const regions: fc.Arbitrary<MemoryRegion[]> = fc
  .array(
    fc.record({
      backing,
      fill: fc.option(fc.record({ seed, zeroPercent: fc.integer({ min: 0, max: 100 }) })),
    }),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((list) =>
    list.map(({ backing: both, fill }, index) => ({
      name: `r${index}`,
      iova: BigInt(index) * 2n ** 60n,
      bytes: 2n * 1024n * 1024n * BigInt(index + 1),
      // Each side its own file: one file for both is refused.
      source: both.kind === 'file' ? { kind: 'file', path: `${both.path}-s${index}` } : both,
      destination: both.kind === 'file' ? { kind: 'file', path: `${both.path}-d${index}` } : both,
      othersMayTruncate: false,
      fill,
    })),
  )

const profile: fc.Arbitrary<Profile> = fc.tuple(regions, ends).chain(([memory, between]) =>
  fc.record({
    version: fc.constant(1 as const),
    name: fc.constantFrom('a', 'vm-1.x', '7', 'null', 'true', '0x10'),
    file: fc.constant('printed.yaml'),
    ...between,
    memory: fc.constant(memory),
    devices: device('d0', memory).map((one) => [one]),
    trackers: fc.record({
      prefer: fc.constantFrom('device' as const, 'iommu' as const),
      forbidAll: fc.boolean(),
      mixedContainers: fc.constantFrom('refuse' as const, 'allow' as const),
      iommuHugePages: fc.constantFrom('split' as const, 'keep' as const),
      process: fc.option(
        fc.record({
          method: fc.constantFrom('auto' as const, 'write-protect' as const, 'soft-dirty' as const),
          freeze: fc.constantFrom('auto' as const, 'cgroup' as const, 'signal' as const),
        }),
      ),
    }),
    migration,
    hooks,
    handOut,
    releaseSource: fc.constantFrom('on-commit' as const, 'by-hand' as const),
  }),
)

describe('printing a resolved profile', () => {
  it('writes out every default', () => {
    const text = printProfile(parse(VALID))
    for (const key of [
      'downtimeLimit: 300ms',
      'rounds: 30',
      'linkTimeout: 30s',
      'prefer: device',
      'become: null',
      'from: open',
      'then: hold',
      'holdEnd: cancel',
      'insecure: null',
      'maxStreams: 1',
      'keepalive: 6s',
      'hooks: []',
      'handOut: null',
      'releaseSource: on-commit',
    ]) {
      expect(text).toContain(key)
    }
  })

  it('reads back as the same profile, whatever it holds', () => {
    fc.assert(
      fc.property(profile, (given) => {
        const text = printProfile(given)
        expect(parseProfile(text, { file: 'printed.yaml', env: { A: 'no' } })).toEqual(given)
      }),
      { numRuns: 300 },
    )
  })
})
