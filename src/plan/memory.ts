import type { Profile } from '../profile/profile.js'

/** All memory of the workload, in bytes. */
export function memoryBytes(profile: Profile): bigint {
  return profile.memory.reduce((sum, region) => sum + region.bytes, 0n)
}
