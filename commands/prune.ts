import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { prose } from '../src/cli/help-text.js'

export default class Prune extends BaseCommand<typeof Prune> {
  static override summary = 'remove journals and records of old runs that are over'
  static override description = prose`Removes the journals and logs of runs that are older than --days, or are not among the newest --keep, and the
records that helpers wrote of them on their hosts. A run that is not finished stays, and so does one that still has a
helper or whose hosts cannot be reached; \`ferry list --unfinished\` shows the unfinished ones. A \`ferry migrate\` that is done does the
same at its end, for up to four runs between the same hosts, with the default limits.`

  static override examples = [
    { description: 'what would go', command: '<%= config.bin %> <%= command.id %> --dry-run' },
    {
      description: 'all but the newest hundred runs of the last month',
      command: '<%= config.bin %> <%= command.id %> --days 30 --keep 100',
    },
  ]

  static override flags = {
    days: Flags.integer({
      summary: 'age in days from which a run goes (default: 90)',
      helpValue: 'N',
      min: 0,
    }),
    keep: Flags.integer({
      summary: 'how many of the newest runs stay (default: 500)',
      helpValue: 'N',
      min: 0,
    }),
    'dry-run': Flags.boolean({ summary: 'say what would go, and remove nothing' }),
  }

  async run(): Promise<object> {
    const [{ prune, PRUNE_LIMITS }, { makeReach }, { pruneText }] = await Promise.all([
      import('../src/recovery/prune.js'),
      import('../src/recovery/reach.js'),
      import('../src/ui/list-text.js'),
    ])
    const { stateDir } = this
    const { days, 'dry-run': dryRun } = this.flags
    const result = await prune({
      stateDir,
      reach: makeReach({ stateDir, helper: this.flags.helper, root: this.config.root }),
      limits: {
        olderThanMs: days === undefined ? PRUNE_LIMITS.olderThanMs : days * 86_400_000,
        keep: this.flags.keep ?? PRUNE_LIMITS.keep,
      },
      nowMs: Date.now(),
      dryRun,
    })
    this.log(pruneText(result, dryRun))
    return { ...result, dryRun }
  }
}
