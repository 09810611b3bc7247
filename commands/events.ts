import { Flags } from '@oclif/core'
import { EXIT } from '../src/exit-codes.js'
import { RunQuery } from '../src/cli/run-query.js'
import { RUN_ARG } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Events extends RunQuery<typeof Events> {
  static override summary = "print a run's events, a JSON object a line"
  static override description = prose`The records of the journal, in order, on stdout. --follow goes on until the run has ended; a reader that comes back
names the first number it has not seen with --from. With --json they come in the envelope instead, once.`
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.unknown]

  static override examples = [
    { description: 'all so far', command: '<%= config.bin %> <%= command.id %> last' },
    {
      description: 'the forecast after each round, as it comes',
      command:
        '<%= config.bin %> <%= command.id %> last --follow | jq -c --unbuffered \'select(.body.event.event == "round-end") | .body.event.forecast\'',
    },
  ]

  static override args = { run: RUN_ARG }

  static override flags = {
    follow: Flags.boolean({ char: 'f', summary: 'go on until the run has ended' }),
    from: Flags.integer({ summary: 'begin with this number', helpValue: 'SEQ', min: 1, default: 1 }),
  }

  async run(): Promise<object> {
    return this.withRun(this.args.run, async (found) => {
      const [{ followRun }, { toJson }] = await Promise.all([
        import('../src/control/follow.js'),
        import('../src/json.js'),
      ])
      const { follow, from } = this.flags
      const kept: object[] = []
      await followRun(found, { from, follow }, (record) => {
        if (this.jsonEnabled()) kept.push(record)
        else process.stdout.write(`${toJson(record)}\n`)
      })
      return { run: found.run, events: kept }
    })
  }
}
