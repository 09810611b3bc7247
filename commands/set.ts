import { Args } from '@oclif/core'
import { EXIT } from '../src/exit-codes.js'
import { RunQuery } from '../src/cli/run-query.js'
import { RUN_ARG } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Set extends RunQuery<typeof Set> {
  static override summary = 'change a limit of a run that is under way'
  static override description = prose`downtime-limit TIME: the longest blackout allowed; only this command changes it during a run. bandwidth RATE, or none: the
cap over all connections, within the round under way. streams N: how many connections carry pages, from the next round
on, up to the profile's \`maxStreams\`. Every change is in the run's journal. After the cutover has begun nothing can be
changed (exit 1, set/too-late).`
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.unknown]

  static override examples = [
    {
      description: 'allow a longer blackout',
      command: '<%= config.bin %> <%= command.id %> last downtime-limit 450ms',
    },
    {
      description: 'leave room for others',
      command: '<%= config.bin %> <%= command.id %> last bandwidth 5Gbit/s',
    },
    { description: 'no cap any more', command: '<%= config.bin %> <%= command.id %> last bandwidth none' },
    { description: 'use four connections', command: '<%= config.bin %> <%= command.id %> last streams 4' },
  ]

  static override args = {
    run: RUN_ARG,
    key: Args.string({
      required: true,
      options: ['downtime-limit', 'bandwidth', 'streams'],
      description: 'what to change',
    }),
    value: Args.string({ required: true, description: 'a time, a rate or `none`, a number' }),
  }

  async run(): Promise<object> {
    const key = this.args.key as 'downtime-limit' | 'bandwidth' | 'streams'
    const { value } = this.args
    const { readSetting } = await import('../src/run/settings.js')
    // What makes no sense is refused here, also for a run that is over.
    const limits = { downtimeLimitMs: 1, bandwidth: null, streams: 1 }
    const setting = readSetting(key, value, limits, null)
    return this.withRun(this.args.run, async (found) => {
      const { liveConnection, runStatus } = await import('../src/control/client.js')
      await liveConnection(found).request('set', { key, value })
      const status = await runStatus(found)
      this.log(`run ${found.run}: ${key} is ${setting.value} now`)
      return { run: found.run, key, value: setting.value, limits: status.limits, forecast: status.forecast }
    })
  }
}
