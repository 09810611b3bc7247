import type { Plan as MadePlan } from '../src/plan/plan.js'
import type { Profile } from '../src/profile/profile.js'
import type { ReachedResult } from '../src/run/prepare.js'
import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { PROFILE_ARG, rateFlag, setFlag } from '../src/cli/flags.js'

export default class Plan extends BaseCommand<typeof Plan> {
  static override summary = 'show what a migration would do, or every reason why it cannot'
  static override description = [
    'Asks both hosts what they have and decides: pairs of devices, a tracker for each, containers, the steps in order,',
    'and what can be said of the blackout before the run. All blockers come at once, each with a code and what would',
    'lift it. --explain says for each device why it has its tracker, why not each of the others, what the tracker',
    'costs, and what a `ferry dirty-log` of the same profile measured. Changes nothing; a device not in use is',
    'opened for a moment to ask it, a device in use never.',
  ].join(' ')
  static override examples = [
    {
      description: 'look before running',
      command: '<%= config.bin %> <%= command.id %> profiles/quickstart.yaml',
    },
    {
      description: 'why these trackers, at what price, and would it converge at 25 Gbit/s?',
      command: '<%= config.bin %> <%= command.id %> vm.yaml --explain --bandwidth 25Gbit/s',
    },
    {
      description: 'what if the IOMMU were to track?',
      command: '<%= config.bin %> <%= command.id %> vm.yaml --set trackers.prefer=iommu',
    },
    {
      description: 'for a script: the codes of the blockers',
      command: "<%= config.bin %> <%= command.id %> vm.yaml --json | jq -r '.result.plan.blockers[].code'",
    },
  ]
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.blocked, EXIT.sidesDisagree]
  static override args = {
    profile: PROFILE_ARG,
  }
  static override flags = {
    explain: Flags.boolean({
      summary: 'all that was weighed for each tracker, its cost, and what a dirty-log measured',
    }),
    sample: Flags.string({
      summary: 'dirty-log to take the figures from (otherwise: the newest of this profile); means --explain',
      helpValue: 'RUN|JOURNAL',
    }),
    bandwidth: rateFlag({
      summary: 'rate to judge the sample by (otherwise that of the profile, or an assumed 1 GiB/s)',
    }),
    set: setFlag(),
  }

  /** @throws what keeps a host from being asked, after saying what the other one has. */
  private async plan(profile: Profile): Promise<MadePlan> {
    const { prepare } = await import('../src/run/prepare.js')
    try {
      const prepared = await prepare({
        profile,
        purpose: 'migrate',
        partly: true,
        stateDir: this.stateDir,
        helper: this.flags.helper,
        root: this.config.root,
        onStderr: (side, line) => this.logger.info({ side }, line),
      })
      await prepared.close()
      return prepared.plan
    } catch (error) {
      const { reached } = ((error as { result?: unknown }).result ?? {}) as Partial<ReachedResult>
      if (reached !== undefined) {
        const { oneSideText } = await import('../src/ui/plan-text.js')
        this.log(
          oneSideText(profile.name, reached, process.stdout.isTTY ? process.stdout.columns : undefined),
        )
      }
      throw error
    }
  }

  async run(): Promise<object> {
    const { loadProfile } = await import('../src/profile/load.js')
    const { bandwidth, explain, sample } = this.flags
    const given = bandwidth ?? null
    const profile = await loadProfile(this.args.profile, { sets: this.flags.set ?? [] })
    const plan = await this.plan(profile)
    const { estimateTerms } = await import('../src/forecast/estimate.js')
    const { findSample, namedSample } = await import('../src/forecast/sample.js')
    const { downtimeLimitMs, bandwidth: planned } = profile.migration
    const input = {
      plan,
      stateDir: this.stateDir,
      terms: estimateTerms(given, planned, downtimeLimitMs),
      nowMs: Date.now(),
    }
    const found =
      sample === undefined ? findSample(input) : { sample: namedSample(sample, input), passedOver: null }
    const { planText } = await import('../src/ui/plan-text.js')
    const { planForecast } = await import('../src/forecast/plan-forecast.js')
    const blackout = planForecast(plan, input.terms, found.sample)
    this.log(
      planText(plan, {
        ...(plan.blockers.length === 0 && { blackout }),
        explain: explain || sample !== undefined,
        found,
        ...(process.stdout.isTTY && { width: process.stdout.columns }),
      }),
    )
    const result = { plan, blackout, sample: found.sample }
    if (plan.blockers.length === 0) return result
    const { FerryError } = await import('../src/errors.js')
    throw new FerryError({
      code: 'plan/blocked',
      exit: EXIT.blocked,
      message: `${plan.profile} cannot be run as it stands; what would lift each blocker is in the plan`,
      // People have just read them in the plan.
      reasons: this.jsonEnabled() ? plan.blockers : [],
      result,
    })
  }
}
