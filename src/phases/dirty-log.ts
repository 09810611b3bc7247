import { putBack } from './rollback.js'
import { runPlanned, type Phase } from './phase.js'

/** Starts the trackers, before the first page is sent: what is written from here on is known. */
export const dirtyLog: Phase = {
  name: 'dirty-log',
  run: (context) => runPlanned(context, 'dirty-log'),
  async undo(context) {
    await putBack(context)
    await context.undoSteps('dirty-log')
  },
}

/** The same, followed by `rounds` reads of all trackers, `intervalMs` apart: what `ferry dirty-log` shows. */
export function measureDirt(rounds: number, intervalMs: number): Phase {
  return {
    ...dirtyLog,
    async run(context) {
      await dirtyLog.run(context)
      for (let round = 1; round <= rounds; round++) {
        await context.pause(intervalMs)
        await context.step({
          side: 'source',
          op: 'dirty',
          params: {},
          text: `read the trackers, round ${round} of ${rounds}`,
        })
      }
    },
  }
}
