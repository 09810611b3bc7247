/** Commands at points of a run: the shape of `hooks:`. */
import * as z from 'zod'
import { HOOK_POINTS } from '../../points.js'
import * as of from './scalars.js'

export const hookSchema = z
  .strictObject({
    name: of.name().meta({ description: 'name of the hook in plans and reports' }),
    at: z.enum(HOOK_POINTS).meta({ description: 'when it runs' }),
    on: z
      .enum(['source', 'destination', 'ferry'])
      .default('ferry')
      .meta({ description: 'where it runs; ferry: on the host where ferry runs' }),
    command: of.command().meta({ description: 'program and arguments; no shell reads them' }),
    timeout: of
      .milliseconds()
      .prefault('30s')
      .meta({ description: 'the hook fails when it has not ended by then' }),
    onFailure: z.enum(['abort', 'warn']).nullable().default(null).meta({
      description:
        'abort: the run is rolled back; warn: it goes on. Default: abort, and warn at post-commit and post-rollback, where nothing can be undone',
    }),
    inBlackout: z.boolean().default(false).meta({
      description: 'needed at post-quiesce, post-stop and pre-resume, where the devices stand still',
    }),
  })
  .meta({ description: 'a command at a point of the run' })

export type HookInput = z.output<typeof hookSchema>
