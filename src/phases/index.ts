/** The phases of a move, in their order. `rollback` is not one of them: the runner turns to it when one fails. */
import { commit } from './commit.js'
import { cutover } from './cutover.js'
import { dirtyLog } from './dirty-log.js'
import { pin } from './pin.js'
import type { Phase } from './phase.js'
import { preCopy } from './pre-copy.js'

export const PHASES: readonly Phase[] = [pin, dirtyLog, preCopy, cutover, commit]

export { measureDirt } from './dirty-log.js'
export { pin } from './pin.js'
export { rollback } from './rollback.js'
export type { Call, Helper, Phase, PhaseContext, RunState, Settled } from './phase.js'
