import { Flags } from '@oclif/core'
import { EXIT, EXIT_CODES, type ExitCode } from '../src/exit-codes.js'
import { RunQuery } from '../src/cli/run-query.js'
import { RUN_ARG } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Cancel extends RunQuery<typeof Cancel> {
  static override summary = 'ask a run to stop and put everything back'
  static override description = prose`Does what Ctrl-C does to a run in the foreground. Before the commit the source's devices run again, and Ferry checks each one;
after the commit a run cannot be cancelled (exit 1, cancel/too-late). Returns once the run has the request; --wait
returns once the run is over, and exits 0 when it ended cancelled, otherwise with the run's own exit code.`
  static override exitCodes = Object.values(EXIT_CODES).map(({ exit }) => exit)

  static override examples = [
    { description: 'ask, and wait for the end', command: '<%= config.bin %> <%= command.id %> last --wait' },
  ]

  static override args = { run: RUN_ARG }

  static override flags = {
    wait: Flags.boolean({ summary: 'wait until the run is over' }),
  }

  async run(): Promise<object> {
    return this.withRun(this.args.run, async (found) => {
      const { liveConnection, revive } = await import('../src/control/client.js')
      const connection = liveConnection(found)
      // Before it is asked, so that its end cannot be missed.
      const over = this.flags.wait ? connection.request('await', { condition: 'ended' }) : null
      over?.catch(() => undefined)
      await connection.request('cancel', {})
      if (over === null) {
        this.log(`run ${found.run}: cancel asked`)
        return { run: found.run, waited: false }
      }
      const status = revive((await over).status)
      const { ended } = status
      this.log(`run ${found.run} ended: ${ended?.outcome ?? 'outcome not recorded'}`)
      const result = { run: found.run, waited: true, status }
      if (ended?.outcome === 'cancelled') return result
      const { FerryError } = await import('../src/errors.js')
      throw new FerryError({
        code: ended?.outcome === 'done' ? 'cancel/too-late' : 'cancel/ended',
        exit: ended === null || ended.exit === EXIT.done ? EXIT.error : (ended.exit as ExitCode),
        message: `run ${found.run} did not end cancelled: ${ended?.error?.message ?? ended?.outcome ?? 'unknown'}`,
        suggestions: [`\`ferry report ${found.run}\` shows what happened`],
        result,
      })
    })
  }
}
