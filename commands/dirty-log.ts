import { Flags } from '@oclif/core'
import { EXIT } from '../src/exit-codes.js'
import type { Estimate } from '../src/forecast/estimate.js'
import { RunCommand, type EndedRun } from '../src/cli/run-command.js'
import { PROFILE_ARG, rateFlag, setFlag, timeFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class DirtyLog extends RunCommand<typeof DirtyLog> {
  static override summary = 'watch how fast the devices of a workload dirty its memory'
  static override description = prose`Pins the memory on the source, starts the trackers of the plan, reads them round by round, then stops them and
unpins the memory. From what it saw it estimates the rounds and the blackout of a migration. Nothing is moved.`
  static override exitCodes = [
    EXIT.done,
    EXIT.error,
    EXIT.usage,
    EXIT.blocked,
    EXIT.cancelled,
    EXIT.rolledBack,
    EXIT.needsPerson,
    EXIT.unknown,
  ]

  static override examples = [
    { description: 'five reads, a second apart', command: '<%= config.bin %> <%= command.id %> node.yaml' },
    {
      description: 'twenty reads, 100 ms apart, and an estimate for a link of 25 Gbit/s',
      command:
        '<%= config.bin %> <%= command.id %> node.yaml --rounds 20 --interval 100ms --bandwidth 25Gbit/s',
    },
  ]

  static override args = {
    profile: PROFILE_ARG,
  }

  static override flags = {
    rounds: Flags.integer({
      summary: 'reads of the trackers',
      helpValue: 'N',
      default: 5,
      min: 1,
      max: 10_000,
    }),
    interval: timeFlag({ summary: 'time between two reads (default: 1s)', helpValue: '1s' }),
    bandwidth: rateFlag({
      summary: 'rate to estimate with (assumed otherwise: 1 GiB/s)',
    }),
    set: setFlag(),
  }

  async run(): Promise<object> {
    const { loadProfile } = await import('../src/profile/load.js')
    const intervalMs = this.flags.interval ?? 1000
    const given = this.flags.bandwidth ?? null
    const profile = await loadProfile(this.args.profile, { sets: this.flags.set ?? [] })
    const [{ measureDirt, pin }, { estimateText }, { estimate, estimateTerms }] = await Promise.all([
      import('../src/phases/index.js'),
      import('../src/ui/dirty-text.js'),
      import('../src/forecast/estimate.js'),
    ])
    const { bandwidth, downtimeLimitMs } = profile.migration
    const terms = estimateTerms(given, bandwidth, downtimeLimitMs)
    const estimated = ({ prepared: { plan }, report }: EndedRun): Estimate | null =>
      estimate({
        ...terms,
        memoryBytes: plan.forecast.memoryBytes,
        stateBytes: plan.forecast.stateBytes ?? 0n,
        fixedBlackoutUs: plan.forecast.fixedBlackoutUs,
        pageSize: plan.pageSize,
        trackers: report.trackers,
        reads: report.dirtyReads,
      })
    const phases = [pin, measureDirt(this.flags.rounds, intervalMs)]
    const result = await this.carryOut({ command: 'dirty-log', profile, phases }, (ended) => {
      const found = ended.outcome === 'done' ? estimated(ended) : null
      return found && estimateText(found, terms)
    })
    const { journal, outcome, report, run } = result
    const found = estimated(result)
    return { run, outcome, journal, report, estimate: found && { ...found, ...terms } }
  }
}
