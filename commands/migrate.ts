import { Flags } from '@oclif/core'
import { EXIT_CODES } from '../src/exit-codes.js'
import type { Profile } from '../src/profile/profile.js'
import { HOLD_POINTS } from '../src/points.js'
import type { startDetached } from '../src/control/detach.js'
import { RunCommand } from '../src/cli/run-command.js'
import { PROFILE_ARG, setFlag, timeFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Migrate extends RunCommand<typeof Migrate> {
  static override summary = 'move a workload from its source to its destination while it keeps working'
  static override description = prose`Pins and connects both sides, logs dirty pages, copies rounds of memory while the devices run, then stops
them for the cutover and starts them on the destination. Anything that fails before the commit is undone: the
source's devices run again, and Ferry has checked each one.

Ctrl-C once asks for a cancel and waits until the source runs; twice stops waiting, and the helpers put everything
back by themselves. --detach carries the run out in the background instead: it outlives the terminal, and status,
events, await, set, cutover and cancel reach it. With --hold it waits before the cutover, with --hold-at at a
point, until \`ferry cutover\` continues it.`
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
      description:
        'start it in the background, held before the cutover for half an hour at most; prints the run id',
      command: '<%= config.bin %> <%= command.id %> node.yaml --detach --hold --hold-timeout 30m',
    },
    {
      description: 'for a script: the report as JSON',
      command: '<%= config.bin %> <%= command.id %> node.yaml --json',
    },
  ]

  static override args = {
    profile: PROFILE_ARG,
  }

  static override flags = {
    'dry-run': Flags.boolean({ summary: 'print the plan and stop; nothing is changed' }),
    'downtime-limit': timeFlag({
      summary: 'longest blackout allowed: a run that would pass it is undone (`ferry set` changes it)',
      helpValue: '300ms',
    }),
    'max-rounds': Flags.integer({ summary: 'most rounds of pre-copy', helpValue: 'N', min: 1 }),
    'max-time': timeFlag({ summary: 'longest pre-copy', helpValue: '60s' }),
    'on-not-converged': Flags.option({
      options: ['cancel', 'cutover'] as const,
      summary: 'what to do when the bounds are reached and the rest does not fit the limit',
    })(),
    detach: Flags.boolean({
      summary: 'carry the run out in the background; print its id once it has begun',
      exclusive: ['dry-run'],
    }),
    hold: Flags.boolean({ summary: 'hold the run before its cutover until `ferry cutover` continues it' }),
    'hold-at': Flags.option({ options: HOLD_POINTS, summary: 'hold the run at this point instead' })(),
    'hold-timeout': timeFlag({
      summary: 'longest hold; then the run ends as `migration.holdEnd` says',
      helpValue: '30m',
    }),
    verify: Flags.option({
      options: ['full', 'none'] as const,
      summary: 'compare all memory on both sides after the stop, before the commit',
    })(),
    set: setFlag(),
  }

  /** `--hold` takes no point; a point behind it looks like an argument too many. */
  protected override usageHints(message: string): readonly string[] {
    const point = HOLD_POINTS.find((name) => message.endsWith(`: ${name}`))
    return point === undefined ? [] : [`did you mean \`--hold-at ${point}\`?`]
  }

  async run(): Promise<object> {
    const { startDetached, takeDetached } = await import('../src/control/detach.js')
    this.waiting = takeDetached()
    if (this.flags.detach && this.waiting === null) return this.background(startDetached)
    const { loadProfile } = await import('../src/profile/load.js')
    const { migrationOverrides } = await import('../src/run/overrides.js')
    const profile = migrationOverrides(await loadProfile(this.args.profile, { sets: this.flags.set ?? [] }), {
      downtimeLimitMs: this.flags['downtime-limit'],
      maxRounds: this.flags['max-rounds'],
      maxTimeMs: this.flags['max-time'],
      onNotConverged: this.flags['on-not-converged'],
      verify: this.flags.verify,
      hold: this.flags['hold-at'] ?? (this.flags.hold ? 'before-cutover' : undefined),
      holdTimeoutMs: this.flags['hold-timeout'],
    })
    if (this.flags['dry-run']) return this.dryRun(profile)
    const { PHASES } = await import('../src/phases/index.js')
    const { journal, outcome, report, run } = await this.carryOut({
      command: 'migrate',
      profile,
      phases: PHASES,
    })
    await this.pruneOld([profile.source.host, profile.destination.host])
    return { run, outcome, journal, report }
  }

  /** A few old runs between the same hosts. Whatever comes of it changes nothing about this run. */
  private async pruneOld(hosts: readonly string[]): Promise<void> {
    try {
      const { prune, PRUNE_LIMITS } = await import('../src/recovery/prune.js')
      const { makeReach } = await import('../src/recovery/reach.js')
      const { stateDir } = this
      const reach = makeReach({ stateDir, helper: this.flags.helper, root: this.config.root })
      const common = { stateDir, reach, limits: PRUNE_LIMITS, nowMs: Date.now(), dryRun: false }
      this.logger.info(await prune({ ...common, most: PRUNED_AT_ONCE, hosts: new Set(hosts) }), 'prune')
    } catch (error) {
      this.logger.warn({ error: String(error) }, 'prune')
    }
  }

  private async background(start: typeof startDetached): Promise<object> {
    const detached = await start(
      [this.id ?? 'migrate', ...withoutJson(this.argv)],
      this.stateDir,
      this.args.profile === '-',
    )
    // The id alone, so that a script can take it.
    this.log(detached.run)
    if (!this.jsonEnabled()) {
      process.stderr.write(
        `started in the background; \`ferry status ${detached.run}\` shows how it stands, its log is ${detached.log}\n`,
      )
    }
    return detached
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

/** Old runs that the end of a run removes. */
const PRUNED_AT_ONCE = 4

/** The log of a run in the background is for people. */
function withoutJson(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return argv.filter((word, index) => word !== '--json' || (end !== -1 && index > end))
}
