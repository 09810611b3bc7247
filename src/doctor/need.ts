import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'

/** What is wanted of a host. Null without a profile. */
export interface Need {
  /** Devices that are not simulated. */
  readonly real: boolean | null
  readonly functions: boolean | null
  readonly mdevs: boolean | null
  /** A device whose profile names the backend. */
  readonly type1: boolean | null
  readonly iommufd: boolean | null
  /** Of ordinary pages. */
  readonly memoryBytes: bigint
  /** Mapping a function pins all memory of the workload. */
  readonly pinnedBytes: bigint
  readonly hugePages: ReadonlyMap<bigint, bigint>
}

export const UNSAID: Need = {
  real: null,
  functions: null,
  mdevs: null,
  type1: null,
  iommufd: null,
  memoryBytes: 0n,
  pinnedBytes: 0n,
  hugePages: new Map(),
}

/** What the sides of a profile that are on one host need of it together. A holder has its memory already. */
export function needOf(profile: Profile, sides: readonly Role[]): Need {
  const refs = sides.flatMap((side) => profile.devices.map((device) => ({ device, ref: device[side] })))
  const real = refs.filter(({ ref }) => ref.kind !== 'sim')
  const functions = real.some(({ ref }) => ref.kind === 'function')
  const opening = sides.filter((side) => side === 'destination' || profile.source.from === 'open')
  const backings = opening.flatMap((side) =>
    profile.memory.flatMap((region) => {
      const backing = region[side]
      return backing.kind === 'memfd' ? [{ bytes: region.bytes, page: backing.hugePageBytes }] : []
    }),
  )
  const hugePages = new Map<bigint, bigint>()
  for (const { bytes, page } of backings) {
    if (page !== null) hugePages.set(page, (hugePages.get(page) ?? 0n) + bytes)
  }
  const workload = profile.memory.reduce((sum, region) => sum + region.bytes, 0n)
  return {
    real: real.length > 0,
    functions,
    mdevs: real.some(({ ref }) => ref.kind === 'mdev'),
    type1: real.some(({ device }) => device.backend === 'type1'),
    iommufd: real.some(({ device }) => device.backend === 'iommufd'),
    memoryBytes: backings.reduce((sum, { bytes, page }) => (page === null ? sum + bytes : sum), 0n),
    pinnedBytes: functions ? workload : 0n,
    hugePages,
  }
}
