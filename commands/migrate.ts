import { Args, Flags } from '@oclif/core'
import { EXIT_CODES } from '../src/exit-codes.js'
import type { Profile } from '../src/profile/profile.js'
import { RunCommand } from '../src/run-command.js'

export default class Migrate extends RunCommand<typeof Migrate> {
  static override summary = 'move a workload from its source to its destination while it keeps working'
  static override description = `Pins and connects both sides, logs dirty pages, copies rounds of memory while the devices run, then stops
them for the cutover and starts them on the destination. Anything that fails before the commit is undone: the
source's devices run again, and were seen to.

Ctrl-C once asks for a cancel and waits until the source runs; twice stops waiting and says how to come back.`
  static override exitCodes = Object.values(EXIT_CODES).map(({ exit }) => exit)

  static override examples = [
    {
      description: 'move the simulated workload of the quickstart',
      command: '<%= config.bin %> <%= command.id %> profiles/quickstart.yaml',
    },
    {
      description: 'show what would be done, and stop',
      command: '<%= config.bin %> <%= command.id %> node.yaml --dry-run',
    },
    {
      description: 'allow 50 ms of blackout and ten rounds, and compare all memory before the commit',
      command:
        '<%= config.bin %> <%= command.id %> node.yaml --downtime-limit 50ms --max-rounds 10 --verify full',
    },
    {
      description: 'for a script: the report as JSON',
      command: '<%= config.bin %> <%= command.id %> node.yaml --json',
    },
  ]

  static override args = {
    profile: Args.string({ required: true, description: 'migration profile, - for stdin' }),
  }

  static override flags = {
    'dry-run': Flags.boolean({ summary: 'print the plan and stop; nothing is changed' }),
    'downtime-limit': Flags.string({
      summary: 'longest blackout allowed; nothing raises it',
      helpValue: '300ms',
    }),
    'max-rounds': Flags.integer({ summary: 'most rounds of pre-copy', helpValue: 'N', min: 1 }),
    'max-time': Flags.string({ summary: 'longest pre-copy', helpValue: '60s' }),
    'on-not-converged': Flags.option({
      options: ['give-up', 'go-ahead'] as const,
      summary: 'when the bounds are reached and the rest does not fit the limit',
    })(),
    verify: Flags.option({
      options: ['full', 'none'] as const,
      summary: 'compare all memory on both sides after the stop, before the commit',
    })(),
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'KEY.PATH=VALUE',
      summary: 'lay a value over the profile; repeatable',
    }),
  }

  async run(): Promise<object> {
    const { loadProfile } = await import('../src/profile/load.js')
    const { migrationOverrides } = await import('../src/run/overrides.js')
    const profile = migrationOverrides(await loadProfile(this.args.profile, { sets: this.flags.set ?? [] }), {
      downtimeLimit: this.flags['downtime-limit'],
      maxRounds: this.flags['max-rounds'],
      maxTime: this.flags['max-time'],
      onNotConverged: this.flags['on-not-converged'],
      verify: this.flags.verify,
    })
    if (this.flags['dry-run']) return this.dryRun(profile)
    const { PHASES } = await import('../src/phases/index.js')
    const { journal, outcome, report, run } = await this.carryOut({
      command: 'migrate',
      profile,
      phases: PHASES,
    })
    return { run, outcome, journal, report }
  }

  private async dryRun(profile: Profile): Promise<object> {
    const { blockedError, prepare } = await import('../src/run/prepare.js')
    const { planText } = await import('../src/ui/plan-text.js')
    const { close, plan } = await prepare(this.preparation(profile, 'migrate'))
    await close()
    this.log(planText(plan, process.stdout.isTTY ? { width: process.stdout.columns } : {}))
    if (plan.blockers.length > 0) throw blockedError(plan)
    return { plan }
  }
}
