import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { prose } from '../src/cli/help-text.js'

export default class List extends BaseCommand<typeof List> {
  static override summary = 'list runs, newest first'
  static override description = prose`Every run of the state folder: moves, and what \`ferry pin\` and \`ferry dirty-log\` measured. Those under way are marked
with *; a run whose ferry died without an end is \`died\`, and \`ferry recover\` finishes it. With --unfinished only the
runs that somebody has to recover: those that died, whose outcome is not known, that need a person, whose sides disagree,
or whose dead side was not found since (\`owed\`). Exit 6 when there is one.`

  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.needsPerson]

  static override examples = [
    { description: 'the newest twenty', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'runs that somebody has to recover',
      command: '<%= config.bin %> <%= command.id %> --unfinished',
    },
    {
      description: 'ids of the runs that are held',
      command:
        '<%= config.bin %> <%= command.id %> --json | jq -r \'.result.runs[] | select(.state == "held").run\'',
    },
  ]

  static override flags = {
    limit: Flags.integer({ summary: 'how many', helpValue: 'N', min: 1, max: 100_000, default: 20 }),
    unfinished: Flags.boolean({ summary: 'only runs that somebody has to recover' }),
  }

  async run(): Promise<object> {
    const [{ knownRuns, unfinishedRuns }, { listText }, { stateOf }] = await Promise.all([
      import('../src/control/list.js'),
      import('../src/ui/list-text.js'),
      import('../src/ui/status-text.js'),
    ])
    const { lost, more, runs, unread } = this.flags.unfinished
      ? { more: 0, ...(await unfinishedRuns(this.stateDir)) }
      : { lost: [], ...(await knownRuns(this.stateDir, this.flags.limit)) }
    const nowMs = Date.now()
    const listed = runs.map(({ live, run, status, unfinished }) => ({
      run,
      command: status.command,
      workload: status.workload,
      state: stateOf(status, live),
      outcome: status.ended?.outcome ?? null,
      unfinished,
      phase: status.phase,
      held: status.held?.point ?? null,
      startedAt: status.startedAt,
      ageMs: Math.max(0, nowMs - Date.parse(status.startedAt)),
    }))
    for (const error of unread) this.warn(error.message)
    const { stdout } = process
    const none = this.flags.unfinished ? 'no run is left unfinished' : 'no runs'
    if (lost.length === 0 || listed.length > 0)
      this.log(listed.length === 0 ? none : listText(listed, stdout.isTTY ? stdout.columns : undefined))
    if (more > 0) this.log(`and ${more} more: --limit shows them`)
    const result = { runs: listed, more, ...(this.flags.unfinished && { lost }) }
    const left = this.flags.unfinished ? [...listed.map(({ run }) => run), ...lost] : []
    if (left.length === 0) return result
    const { FerryError } = await import('../src/errors.js')
    throw new FerryError({
      code: 'run/unfinished',
      exit: EXIT.needsPerson,
      message: `${left.length === 1 ? '1 run is' : `${left.length} runs are`} left unfinished: ${left.join(', ')}`,
      suggestions: [
        ...listed
          .slice(0, 1)
          .map(({ run }) => `\`ferry recover ${run}\` asks both sides and finishes it safely`),
        ...lost.map(
          (run) =>
            `the beginning of the journal of ${run} is lost: \`ferry recover ${run} --profile PROFILE\` asks the hosts of its profile`,
        ),
      ],
      result,
    })
  }
}
