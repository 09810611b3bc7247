import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { RUN_ARG, setFlag } from '../src/cli/flags.js'
import type { Served, RunControl } from '../src/run/control.js'
import type { Scheduled } from '../src/run/left-at.js'
import type { EventStream } from '../src/journal/event-stream.js'
import type { RecoveryResult } from '../src/recovery/result.js'
import { prose } from '../src/cli/help-text.js'

export default class Recover extends BaseCommand<typeof Recover> {
  static override summary = 'finish an interrupted run safely'
  static override description = prose`Asks the helpers of both sides, or reads what they left on disk, and then either lets the destination keep the
workload, or makes it discard the run and starts the source again. Nothing is done while one side that may run cannot
be asked. Safe to repeat.

Where only a person can decide, it does nothing and prints the commands that decide, each with a token of the run as it is
found now. At a terminal the token may be typed instead. A side declared dead is looked for again by the next
\`ferry recover\`, which closes what it still has.

A run whose ferry was killed before the stop is kept by both helpers for \`migration.grace\`: within that time it goes
on from there to its end, as under the ferry that began it. --undo undoes it instead.`
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
      description: 'the destination’s host is dead: run the workload as it was at the cutover',
      command:
        '<%= config.bin %> <%= command.id %> 20261122T151733-4f2a --dead destination --as source --token 7f3a91',
    },
  ]

  static override args = {
    run: RUN_ARG,
  }

  static override flags = {
    as: Flags.option({
      options: ['source', 'destination'] as const,
      summary: 'the side that is to have the workload, where only a person can decide',
    })(),
    dead: Flags.option({
      options: ['source', 'destination'] as const,
      summary: 'the host of this side cannot be reached, and is known to be dead',
    })(),
    undo: Flags.boolean({
      exclusive: ['as', 'dead'],
      summary: 'undo a run that its helpers have kept before its stop, instead of going on with it',
    }),
    profile: Flags.string({
      summary: 'the profile of the run, where the first line of its journal is lost',
      helpValue: 'FILE',
    }),
    set: setFlag({ with: 'profile' }),
    token: Flags.string({
      summary: 'the token that `ferry recover` printed for this decision',
      helpValue: 'TOKEN',
    }),
  }

  async run(): Promise<object> {
    const [
      { plural },
      { confirmBy },
      { missedText },
      { findJournal, readWhatIsLeft },
      { recoverRun },
      { makeReach },
      { FerryError, wireCode },
      { OUTCOME_CODE },
      { choiceCommand },
      { goOn },
      { openView },
    ] = await Promise.all([
      import('../src/units.js'),
      import('../src/recovery/confirm.js'),
      import('../src/ui/cutover-text.js'),
      import('../src/journal/read.js'),
      import('../src/recovery/recover.js'),
      import('../src/recovery/reach.js'),
      import('../src/errors.js'),
      import('../src/run/outcome.js'),
      import('../src/recovery/choices.js'),
      import('../src/recovery/go-on.js'),
      import('../src/ui/live.js'),
    ])
    const path = findJournal(this.stateDir, this.args.run)
    await this.beginningOf(path)
    const saved = readWhatIsLeft(path)
    await this.refuseLive(saved.path)
    if (saved.damaged > 0)
      this.warn(`${saved.path}: ${plural(saved.damaged, 'damaged line')} passed over; both sides are asked`)
    const { as, dead, token, undo } = this.flags
    let stream: EventStream | null = null
    let goes = false
    const recovered = await recoverRun({
      saved,
      stateDir: this.stateDir,
      version: this.config.version,
      said: { as: as ?? null, dead: dead ?? null },
      confirm: confirmBy(token, !this.jsonEnabled()),
      reach: makeReach({
        stateDir: this.stateDir,
        helper: this.flags.helper,
        root: this.config.root,
        onEvent: (side, event) => stream?.emit({ type: 'helper', side, event }),
      }),
      ...(!undo && {
        goOn: async (kept) => {
          stream = kept.journal.events
          const going = (run: string, missed: Scheduled | null): void => {
            goes = true
            this.unexpectedExit = EXIT.unknown
            if (!this.jsonEnabled())
              process.stderr.write(`run ${run}: both helpers have kept it, and it goes on\n`)
            if (missed !== null) this.warn(missedText(run, missed, Date.now()))
          }
          const serve = (control: RunControl): Promise<Served> => this.serve(control)
          return goOn(kept, { version: this.config.version, view: openView, serve, onGoing: going })
        },
      }),
      onEvent: ({ body }) => {
        if (goes) return
        if (body.type === 'intent' && !this.jsonEnabled())
          process.stderr.write(`${body.side}: ${body.text}\n`)
      },
    })
    for (const problem of recovered.problems) this.warn(`[${problem.code}] ${problem.message}`)
    const { destination, error, exit, outcome, owed, run, source } = recovered
    if (recovered.did === 'go-on') return this.wentOn(recovered)
    if (owed !== null)
      this.warn(
        `the ${owed} was declared dead and not found since: when its host is back, \`ferry recover ${run}\` closes what it has`,
      )
    const asked = source !== 'not-asked' && destination !== 'not-asked'
    if (asked) this.log(`run ${run}: the source ${WORDS[source]}, the destination ${WORDS[destination]}`)
    else if (error === null)
      this.log(
        `run ${run} ${recovered.givenUp === true ? 'was given up' : `ended ${outcome}`}: there is nothing to recover`,
      )
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
        (recovered.givenUp === true
          ? `run ${run} was given up: neither side is to have its workload`
          : asked
            ? `run ${run} was rolled back: the source ${back}`
            : `run ${run} ended ${outcome}`),
      suggestions: [
        ...(error?.suggestion === undefined ? [] : [error.suggestion]),
        ...(error?.code === 'recover/token' ? [] : recovered.choices).map(
          (choice) => `\`${choiceCommand(run, choice)}\`: ${choice.effect}`,
        ),
      ],
      result: recovered,
    })
  }

  /** Under its own id, as `ferry migrate` ends. */
  private async wentOn({ records = [], ...recovered }: RecoveryResult): Promise<object> {
    const [{ buildReport }, { reportText }, { FerryError, wireCode }, { OUTCOME_CODE }] = await Promise.all([
      import('../src/report/build.js'),
      import('../src/ui/report-text.js'),
      import('../src/errors.js'),
      import('../src/run/outcome.js'),
    ])
    const report = buildReport(records)
    const { stdout } = process
    this.log(reportText(report, stdout.isTTY ? { width: stdout.columns } : {}))
    const { error, exit, outcome, run } = recovered
    if (outcome === 'done') return { ...recovered, report }
    throw new FerryError({
      code: error === null ? OUTCOME_CODE[outcome] : wireCode(error.code),
      exit: exit as typeof EXIT.rolledBack,
      message: error?.message ?? `the run ended ${outcome}`,
      suggestions: [
        ...(error?.suggestion === undefined ? [] : [error.suggestion]),
        `run ${run}: \`ferry report ${run}\` shows all of it`,
      ],
      result: { ...recovered, report },
    })
  }

  /** Where the ferry that died served it; its socket is nobody's. */
  private async serve(control: RunControl): Promise<Served> {
    const [{ serveRun }, { lastingFolder, runSocket, runtimeFolder }, { rmSync }] = await Promise.all([
      import('../src/control/server.js'),
      import('../src/control/runtime-folder.js'),
      import('node:fs'),
    ])
    const folders = [runtimeFolder(this.stateDir), lastingFolder(this.stateDir)] as const
    for (const folder of folders) rmSync(runSocket(folder, control.run), { force: true })
    return serveRun(control, ...folders)
  }

  /** What is lost of it comes from the profile. */
  private async beginningOf(path: string): Promise<void> {
    const { profile: file, set: sets = [] } = this.flags
    if (file === undefined) return
    const { makeUpBeginning } = await import('../src/recovery/lost-beginning.js')
    const options = { stateDir: this.stateDir, helper: this.flags.helper, root: this.config.root }
    await makeUpBeginning(path, { ...options, file, sets, version: this.config.version })
    this.warn(
      `the first line of ${path} was lost, and is made up from ${file}; what it was is kept in ${path}.damaged`,
    )
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
  'gone-unknown': 'left a record that cannot be read, and its helper has ended',
  dead: 'is dead',
  'not-asked': 'was not asked',
  'gone-discarded': 'has discarded it, and its helper has ended',
  unreachable: 'cannot be reached',
}
