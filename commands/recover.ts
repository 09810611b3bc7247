import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { RUN_ARG } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Recover extends BaseCommand<typeof Recover> {
  static override summary = 'finish an interrupted run safely'
  static override description = prose`Asks the helpers of both sides, or reads what they left on disk, and then either lets the destination keep the
workload, or makes it discard the run and starts the source again. Nothing is done while one side that may run cannot
be asked. Safe to repeat.`
  static override exitCodes = [
    EXIT.done,
    EXIT.error,
    EXIT.usage,
    EXIT.rolledBack,
    EXIT.needsPerson,
    EXIT.sidesDisagree,
    EXIT.unknown,
  ]

  static override examples = [
    { description: 'the last run', command: '<%= config.bin %> <%= command.id %> last' },
    {
      description: 'the destination’s host died after its commit: run the workload as it was at the cutover',
      command: '<%= config.bin %> <%= command.id %> 20261122T151733-4f2a --resume-source',
    },
  ]

  static override args = {
    run: RUN_ARG,
  }

  static override flags = {
    'resume-source': Flags.boolean({
      summary: 'run the source although the destination committed and died; what it did since is lost',
    }),
  }

  async run(): Promise<object> {
    const [
      { findJournal, readJournal },
      { recoverRun },
      { makeReach },
      { FerryError, wireCode },
      { OUTCOME_CODE },
    ] = await Promise.all([
      import('../src/journal/read.js'),
      import('../src/recovery/recover.js'),
      import('../src/recovery/reach.js'),
      import('../src/errors.js'),
      import('../src/run/outcome.js'),
    ])
    const saved = readJournal(findJournal(this.stateDir, this.args.run))
    await this.refuseLive(saved.path)
    const recovered = await recoverRun({
      saved,
      stateDir: this.stateDir,
      version: this.config.version,
      resumeSource: this.flags['resume-source'],
      reach: makeReach({ stateDir: this.stateDir, helper: this.flags.helper, root: this.config.root }),
      onEvent: ({ body }) => {
        if (body.type === 'intent' && !this.jsonEnabled())
          process.stderr.write(`${body.side}: ${body.text}\n`)
      },
    })
    for (const problem of recovered.problems) this.warn(`[${problem.code}] ${problem.message}`)
    const { destination, error, exit, outcome, run, source } = recovered
    const asked = source !== 'not-asked'
    if (asked) this.log(`run ${run}: the source ${WORDS[source]}, the destination ${WORDS[destination]}`)
    else this.log(`run ${run} ended ${outcome}: there is nothing to recover`)
    if (exit === EXIT.done) {
      const where = destination === 'gone-settled' ? 'ran, and the run is done' : 'has the workload'
      if (asked) this.log(`recovered: the destination ${where}`)
      return recovered
    }
    const back = source === 'ran' ? 'ran again, was checked, and closed its devices' : 'runs and was checked'
    if (asked && error === null)
      this.log(`recovered: the destination holds nothing of the run, the source ${back}`)
    throw new FerryError({
      code: error === null ? OUTCOME_CODE[outcome] : wireCode(error.code),
      exit: exit as typeof EXIT.rolledBack,
      message:
        error?.message ??
        (asked ? `run ${run} was rolled back: the source ${back}` : `run ${run} ended ${outcome}`),
      suggestions: error?.suggestion === undefined ? [] : [error.suggestion],
      result: recovered,
    })
  }

  /** A run that is still driven by its ferry is not ours to finish. */
  private async refuseLive(path: string): Promise<void> {
    const { basename } = await import('node:path')
    const { isLive } = await import('../src/control/client.js')
    const run = basename(path, '.ndjson')
    if (!(await isLive(this.stateDir, path))) return
    const { FerryError } = await import('../src/errors.js')
    throw new FerryError({
      code: 'recover/live',
      exit: EXIT.error,
      message: `run ${run} is under way, and its ferry drives it`,
      suggestions: [`\`ferry status ${run}\` shows how it stands, \`ferry cancel ${run}\` ends it`],
    })
  }
}

const WORDS: Readonly<Record<string, string>> = {
  answers: 'is stopped',
  runs: 'runs',
  ran: 'ran again before its helper closed the devices',
  released: 'was released',
  settled: 'has the workload',
  'gone-settled': 'ran, and its devices were held, handed on or closed as the profile says',
  stuck: 'committed and could not start every device',
  open: 'waits without a commit',
  discarded: 'has discarded it',
  'gone-committed': 'had committed, and its helper has ended',
  'gone-handing': 'had committed and was starting the command, and its helper has ended',
  'gone-open': 'had not committed, and its helper has ended',
  'gone-discarded': 'has discarded it, and its helper has ended',
  unreachable: 'cannot be reached',
}
