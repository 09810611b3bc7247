import { putBack } from './rollback.js'
import { runPlanned, type Phase } from './phase.js'

/** Starts the trackers, before the first page is sent: what is written from here on is known. */
export const dirtyLog: Phase = {
  name: 'dirty-log',
  run: (session) => runPlanned(session, 'dirty-log'),
  async undo(session) {
    await putBack(session)
    await session.undoSteps('dirty-log')
  },
}

/** The same, followed by `rounds` reads of all trackers, `intervalMs` apart: what `ferry dirty-log` shows. */
export function measureDirt(rounds: number, intervalMs: number): Phase {
  return {
    ...dirtyLog,
    async run(session, steering) {
      await dirtyLog.run(session, steering)
      for (let round = 1; round <= rounds; round++) {
        await session.pause(intervalMs)
        await session.step({
          side: 'source',
          op: 'dirty',
          params: {},
          text: `read the trackers, round ${round} of ${rounds}`,
        })
      }
    },
  }
}
