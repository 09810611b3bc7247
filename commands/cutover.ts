import { EXIT } from '../src/exit-codes.js'
import type { CutoverAnswer } from '../src/run/hold-timer.js'
import { RunQuery } from '../src/cli/run-query.js'
import { momentFlag, RUN_ARG, timeFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Cutover extends RunQuery<typeof Cutover> {
  static override summary = 'continue a held run with its cutover'
  static override description = prose`Looks at the forecast of the run held before its cutover: if the blackout is expected to pass the downtime limit,
the run is not continued, exit 7, and stays held. --within waits that long for a moment that fits. --at asks for it later and
returns at once; with --within the window begins then. A second request takes the place of one that waits, and a cancel
drops it. A run held after-pin or after-dirty-log has no forecast yet and just goes on.

Exit 0 says that the run continues, not that it has arrived: \`ferry await RUN --condition committed\` waits for that.`
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.downtimeLimit, EXIT.unknown]

  static override examples = [
    { description: 'now', command: '<%= config.bin %> <%= command.id %> last' },
    {
      description: 'at the first moment of the next ten minutes that fits',
      command: '<%= config.bin %> <%= command.id %> last --within 10m',
    },
    {
      description: 'tonight, in a window of an hour',
      command: '<%= config.bin %> <%= command.id %> last --at 02:30 --within 1h',
    },
  ]

  static override args = { run: RUN_ARG }

  static override flags = {
    at: momentFlag({
      summary: 'not before this time: the next 02:30 of the clock, or a date and time',
    }),
    within: timeFlag({ summary: 'how long to wait for a moment that fits', helpValue: '10m' }),
  }

  async run(): Promise<object> {
    const { at: atMs, within: withinMs } = this.flags
    return this.withRun(this.args.run, async (found) => {
      const { driverDiedError, liveConnection } = await import('../src/control/client.js')
      const { FerryError } = await import('../src/errors.js')
      const connection = liveConnection(found)
      let answer: CutoverAnswer
      try {
        answer = await connection.request('cutover', {
          ...(atMs !== undefined && { atMs }),
          ...(withinMs !== undefined && { withinMs }),
        })
      } catch (error) {
        if (error instanceof FerryError && error.code === 'run/gone') throw driverDiedError(found.run)
        throw error
      }
      return this.tell(found.run, answer, atMs)
    })
  }

  private async tell(run: string, answer: CutoverAnswer, atMs: number | undefined): Promise<object> {
    const [{ cutoverRefused, cutoverText }, { FerryError }] = await Promise.all([
      import('../src/ui/cutover-text.js'),
      import('../src/errors.js'),
    ])
    const result = { run, ...answer, ...(atMs !== undefined && { atMs }) }
    const refused = cutoverRefused(run, answer)
    if (refused === null) {
      this.log(`run ${run}: ${cutoverText(answer, atMs)}`)
      return result
    }
    throw new FerryError({
      ...refused,
      exit: answer.answer === 'refused' ? EXIT.downtimeLimit : EXIT.error,
      result,
    })
  }
}
