import { Flags } from '@oclif/core'
import { EXIT } from '../src/exit-codes.js'
import type { FoundRun } from '../src/control/client.js'
import { RunQuery } from '../src/cli/run-query.js'
import { RUN_OR_LAST_ARG } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Status extends RunQuery<typeof Status> {
  static override summary = 'show how a run stands'
  static override description = prose`For a run under way: its phase, hold, round and devices, and the forecast blackout against the limit. For a run
that is over: how it ended. --watch follows it to its end: a live view on a terminal, a line for each
event in a pipe.`
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.unknown]

  static override examples = [
    { description: 'the newest run', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'watch it', command: '<%= config.bin %> <%= command.id %> last --watch' },
    {
      description: 'for a script: does the blackout fit now?',
      command: "<%= config.bin %> <%= command.id %> last --json | jq '.result.status.forecast.fits'",
    },
  ]

  static override args = {
    run: RUN_OR_LAST_ARG,
  }

  static override flags = {
    watch: Flags.boolean({ summary: 'follow it until it has ended' }),
  }

  async run(): Promise<object> {
    return this.withRun(this.args.run, async (found) => {
      if (this.flags.watch && found.connection !== null) await this.watch(found)
      const [{ runStatus }, { stateOf, statusText }] = await Promise.all([
        import('../src/control/client.js'),
        import('../src/ui/status-text.js'),
      ])
      const status = await runStatus(found)
      const live = (found.connection ?? found.driver) !== null && status.ended === null
      this.log(
        statusText(status, {
          live,
          driver: found.driver,
          nowMs: Date.now(),
          ...(process.stdout.isTTY && { width: process.stdout.columns }),
        }),
      )
      return { run: found.run, state: stateOf(status, live), live, journal: found.journal, status }
    })
  }

  private async watch(found: FoundRun): Promise<void> {
    const [{ followRun }, { openView }] = await Promise.all([
      import('../src/control/follow.js'),
      import('../src/ui/live.js'),
    ])
    // The run's clock, as far as the newest event tells it.
    let last = { atUs: 0, heardMs: performance.now() }
    const view = openView(() => Math.round(last.atUs + (performance.now() - last.heardMs) * 1000))
    try {
      await followRun(found, { from: 1, follow: true, progress: true }, (record) => {
        last = { atUs: record.atUs, heardMs: performance.now() }
        view.take(record)
      })
    } finally {
      view.stop()
    }
  }
}
