import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { prose } from '../src/cli/help-text.js'

export default class List extends BaseCommand<typeof List> {
  static override summary = 'list runs, newest first'
  static override description = prose`Every run of the state folder: moves, and what \`ferry pin\` and \`ferry dirty-log\` measured. Those under way are marked
with *; a run whose ferry died without an end is \`died\`, and \`ferry recover\` finishes it.`

  static override examples = [
    { description: 'the newest twenty', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'ids of the runs that are held',
      command:
        '<%= config.bin %> <%= command.id %> --json | jq -r \'.result.runs[] | select(.state == "held").run\'',
    },
  ]

  static override flags = {
    limit: Flags.integer({ summary: 'how many', helpValue: 'N', min: 1, max: 100_000, default: 20 }),
  }

  async run(): Promise<object> {
    const [{ knownRuns }, { listText }, { stateOf }] = await Promise.all([
      import('../src/control/list.js'),
      import('../src/ui/list-text.js'),
      import('../src/ui/status-text.js'),
    ])
    const { more, runs, unread } = await knownRuns(this.stateDir, this.flags.limit)
    const nowMs = Date.now()
    const listed = runs.map(({ live, run, status }) => ({
      run,
      command: status.command,
      workload: status.workload,
      state: stateOf(status, live),
      outcome: status.ended?.outcome ?? null,
      phase: status.phase,
      held: status.held?.point ?? null,
      startedAt: status.startedAt,
      ageMs: Math.max(0, nowMs - Date.parse(status.startedAt)),
    }))
    for (const error of unread) this.warn(error.message)
    const { stdout } = process
    this.log(listed.length === 0 ? 'no runs' : listText(listed, stdout.isTTY ? stdout.columns : undefined))
    if (more > 0) this.log(`and ${more} more: --limit shows them`)
    return { runs: listed, more }
  }
}
