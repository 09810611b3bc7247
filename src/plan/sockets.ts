/** Where helpers answer when their owner is gone, and whether such a path can be a socket's. */
import { SOCKET_PATH_BYTES } from '../limits.js'
import type { Role } from '../protocol/protocol.js'
import type { Profile } from '../profile/profile.js'
import { block, type Check } from './findings.js'
import type { Plan, Step } from './plan.js'

/** Stands for the run's id, which a plan does not know yet, in the path of a helper's socket. */
export const RUN_ID = '{run}'

/** The records of a side's runs. */
export function recordFolder(stateDir: string): string {
  return `${stateDir}/records`
}

/** The folder that holds a side's records, sockets and holders, as the plan's claim has it. */
export function stateDirOf(claim: ClaimStep): string {
  return claim.params.recordDir.slice(0, -recordFolder('').length)
}

type ClaimStep = Extract<Step, { op: 'claim' }>

/** The claim of one side; none in a plan that leaves that side alone. */
export function claimOf(plan: Plan, side: Role): ClaimStep | undefined {
  return plan.steps.find((step) => step.op === 'claim' && step.side === side) as ClaimStep | undefined
}

/** A plan does not know the run's id, and a helper's socket bears it. */
export function withRun(step: Step, run: string): Step {
  if (step.op !== 'claim') return step
  return { ...step, params: { ...step.params, socket: step.params.socket.replace(RUN_ID, run) } }
}

/** Where the helper of one side answers. */
export function helperSocket(stateDir: string, run: string, role: Role): string {
  return `${stateDir}/sockets/${run}-${role}.sock`
}

/** Where the holder of a workload answers. */
export function holderSocket(stateDir: string, workload: string): string {
  return `${stateDir}/holders/${workload}.sock`
}

/** The holder comes into being after the commit: that it could not be reached must be known before. */
export function* checkHolderSocket(profile: Profile, stateDir: string, side: Role): Check {
  const path = holderSocket(stateDir, profile.name)
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return
  yield block(
    'plan/socket-path',
    { side },
    `the ${side}'s holder would answer at ${path}, ${Buffer.byteLength(path)} bytes long; a socket's path has at most ${SOCKET_PATH_BYTES}`,
    `give ${side}.stateDir a shorter folder, or the profile a shorter name`,
  )
}
