/** Commands at points of a run: the shape of `hooks:`. */
import { z } from 'zod'
import type { CutoverPause } from '../../protocol/protocol.js'
import * as of from './scalars.js'

/** In the order a run comes to them. */
export const HOOK_POINTS = [
  'pre-pin',
  'post-pin',
  'post-dirty-log',
  'pre-cutover',
  'post-quiesce',
  'post-stop',
  'pre-resume',
  'post-commit',
  'post-rollback',
] as const
/** A point of a run at which commands may run. */
export type HookPoint = (typeof HOOK_POINTS)[number]

/** Points at which the devices stand still. */
export const BLACKOUT_POINTS = [
  'post-quiesce',
  'post-stop',
  'pre-resume',
] as const satisfies readonly (HookPoint & CutoverPause)[]

/** Points after which there is nothing left to undo. */
export const FINAL_POINTS = ['post-commit', 'post-rollback'] as const satisfies readonly HookPoint[]

/** Points at which a run can be held until a person continues it. */
export const HOLD_POINTS = ['after-pin', 'after-dirty-log', 'before-cutover'] as const
export type HoldPoint = (typeof HOLD_POINTS)[number]

export const hookSchema = z
  .strictObject({
    name: of.name().meta({ description: 'name of the hook in plans and reports' }),
    at: z.enum(HOOK_POINTS).meta({ description: 'when it runs' }),
    on: z
      .enum(['source', 'destination', 'ferry'])
      .default('ferry')
      .meta({ description: 'where it runs; ferry: where ferry itself does' }),
    command: of.command().meta({ description: 'program and arguments; no shell reads them' }),
    timeout: of
      .milliseconds()
      .prefault('30s')
      .meta({ description: 'it has failed when it is not over by then' }),
    onFailure: z.enum(['abort', 'warn']).nullable().default(null).meta({
      description:
        'abort: the run goes back; warn: it goes on. Default: abort, and warn at post-commit and post-rollback, where nothing can be undone',
    }),
    inBlackout: z.boolean().default(false).meta({
      description: 'needed at post-quiesce, post-stop and pre-resume, where the devices stand still',
    }),
  })
  .meta({ description: 'a command at a point of the run' })

export type HookInput = z.output<typeof hookSchema>
