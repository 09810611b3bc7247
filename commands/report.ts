import { BaseCommand } from '../src/cli/base-command.js'
import { RUN_ARG } from '../src/cli/flags.js'

export default class Report extends BaseCommand<typeof Report> {
  static override summary = 'show what happened in a run, from its journal alone'

  static override examples = [
    { description: 'the newest run', command: '<%= config.bin %> <%= command.id %> last' },
    {
      description: 'a run by its id, or the beginning of it',
      command: '<%= config.bin %> <%= command.id %> 20261122T151733',
    },
    {
      description: 'a journal that was copied from elsewhere, as JSON',
      command: '<%= config.bin %> <%= command.id %> ./saved.ndjson --json',
    },
  ]

  static override args = {
    run: RUN_ARG,
  }

  async run(): Promise<object> {
    const { findJournal, readJournal } = await import('../src/journal/read.js')
    const { buildReport } = await import('../src/report/build.js')
    const { reportText } = await import('../src/ui/report-text.js')
    const saved = readJournal(findJournal(this.stateDir, this.args.run))
    const report = buildReport(saved.records)
    if (saved.torn)
      this.warn(
        `the last line of ${saved.path} is incomplete and was left out: ferry died while it wrote the line`,
      )
    if (report.outcome === 'incomplete') {
      const { isLive } = await import('../src/control/client.js')
      if (await isLive(this.stateDir, saved.path))
        this.warn(`run ${report.run} is under way: \`ferry status ${report.run}\` shows it`)
    }
    this.log(reportText(report, process.stdout.isTTY ? { width: process.stdout.columns } : {}))
    return { run: report.run, outcome: report.outcome, journal: saved.path, torn: saved.torn, report }
  }
}
