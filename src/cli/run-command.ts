/** What the commands that carry out a run have in common: the way they start it, show it, and say how it ended. */
import type { Command } from '@oclif/core'
import { BaseCommand } from './base-command.js'
import type { Waiting } from '../control/detach.js'
import { isQuietExit } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Phase } from '../phases/index.js'
import type { Profile } from '../profile/profile.js'
import type { Report } from '../report/report.js'
import type { OperationInput, OperationResult } from '../run/operation.js'
import type { PrepareOptions } from '../run/prepare.js'

export interface CommandRun {
  readonly command: 'migrate' | 'pin' | 'dirty-log'
  readonly profile: Profile
  readonly phases: readonly Phase[]
}

/** A run that is over, with its report. */
export interface EndedRun extends OperationResult {
  readonly report: Report
}

export abstract class RunCommand<C extends typeof Command> extends BaseCommand<C> {
  /** In the background: who waits to hear that the run has begun. */
  protected waiting: Waiting | null = null

  /** What the helpers are opened with. */
  protected preparation(profile: Profile, purpose: PrepareOptions['purpose']): PrepareOptions {
    return {
      profile,
      purpose,
      stateDir: this.stateDir,
      helper: this.flags.helper,
      root: this.config.root,
      onStderr: (side, line) => this.logger.info({ side }, line),
      log: this.requestLog,
    }
  }

  /** Carries out a run, prints its report and `more` on stdout, and throws unless it ended well. */
  protected async carryOut(
    { command, phases, profile }: CommandRun,
    more: (ended: EndedRun) => string | null = () => null,
  ): Promise<EndedRun> {
    const [{ operate, runError }, { buildReport }, { openView }, { reportText }] = await Promise.all([
      import('../run/operation.js'),
      import('../report/build.js'),
      import('../ui/live.js'),
      import('../ui/report-text.js'),
    ])
    const steered = command === 'migrate' ? await this.steered(profile) : {}
    const result = await operate({
      ...steered,
      ...this.preparation(profile, command === 'migrate' ? 'migrate' : 'measure'),
      command,
      phases,
      version: this.config.version,
      view: openView,
      onStart: (run) => {
        this.logger.info({ run }, 'run')
        this.unexpectedExit = EXIT.unknown
        this.waiting?.started()
      },
    })
    const ended: EndedRun = { ...result, report: buildReport(result.records) }
    for (const problem of ended.problems) this.warn(`[${problem.code}] ${problem.message}`)
    if (ended.journalError !== undefined) this.warn(ended.journalError.message)
    const { stdout } = process
    this.log(reportText(ended.report, stdout.isTTY ? { width: stdout.columns } : {}))
    const rest = more(ended)
    if (rest !== null) this.log(`\n${rest}`)
    const { journal, outcome, report, run } = ended
    if (outcome !== 'done') throw runError(ended, { run, outcome, journal, report })
    return ended
  }

  /** What makes a run one that scripts and other terminals can follow and steer. */
  private async steered(profile: Profile): Promise<Pick<OperationInput, 'run' | 'serve' | 'expected'>> {
    const [{ serveRun }, { lastingFolder, runtimeFolder }, { forecastBefore }] = await Promise.all([
      import('../control/server.js'),
      import('../control/runtime-folder.js'),
      import('../forecast/plan-forecast.js'),
    ])
    const { stateDir } = this
    const { bandwidth, downtimeLimitMs } = profile.migration
    return {
      ...(this.waiting !== null && { run: this.waiting.run }),
      serve: (control) => serveRun(control, runtimeFolder(stateDir), lastingFolder(stateDir)),
      expected: (plan) => forecastBefore(plan, { stateDir, bandwidth, downtimeLimitMs }),
    }
  }

  protected override async catch(thrown: Error): Promise<void> {
    if (!isQuietExit(thrown)) this.waiting?.failed(thrown)
    await super.catch(thrown)
  }
}
