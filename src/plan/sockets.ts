/** Where helpers answer when their owner is gone, and whether such a path can be a socket's. */
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { record, type Findings } from './findings.js'

/** Stands for the run's id, which a plan does not know yet, in the path of a helper's socket. */
export const RUN_ID = '{run}'
/** sun_path of unix(7), without its final zero. */
const LONGEST = 107

/** Where the helper of one side answers. */
export function helperSocket(stateDir: string, run: string, role: Role): string {
  return `${stateDir}/sockets/${run}-${role}.sock`
}

/** Where the holder of a workload answers. */
export function holderSocket(stateDir: string, workload: string): string {
  return `${stateDir}/holders/${workload}.sock`
}

/** The holder comes into being after the commit: that it could not be reached must be known before. */
export function checkHolderSocket(profile: Profile, stateDir: string, side: Role, findings: Findings): void {
  const path = holderSocket(stateDir, profile.name)
  if (Buffer.byteLength(path) <= LONGEST) return
  record(
    findings,
    'block',
    'plan/socket-path',
    { side },
    `the ${side}'s holder would answer at ${path}, ${Buffer.byteLength(path)} bytes long; a socket's path has at most ${LONGEST}`,
    `give ${side}.stateDir a shorter folder, or the profile a shorter name`,
  )
}
