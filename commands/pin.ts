import { EXIT } from '../src/exit-codes.js'
import type { HelloReply } from '../src/protocol/protocol.js'
import { RunCommand } from '../src/cli/run-command.js'
import { PROFILE_ARG, setFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Pin extends RunCommand<typeof Pin> {
  static override summary = 'pin the memory on the source, report the cost, then unpin it'
  static override description = prose`Opens the devices of the profile's source side, maps their memory through the chosen backend, which pins it for
physical functions, and reports time, pages, rate and locked memory. Nothing is moved; the devices stay RUNNING.`
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
    { description: 'how long does pinning take?', command: '<%= config.bin %> <%= command.id %> node.yaml' },
    { description: 'for a script', command: '<%= config.bin %> <%= command.id %> node.yaml --json' },
  ]

  static override args = {
    profile: PROFILE_ARG,
  }

  static override flags = {
    set: setFlag(),
  }

  async run(): Promise<object> {
    const { loadProfile } = await import('../src/profile/load.js')
    const profile = await loadProfile(this.args.profile, { sets: this.flags.set ?? [] })
    const [{ pin }, { memlockText }] = await Promise.all([
      import('../src/phases/index.js'),
      import('../src/ui/report-text.js'),
    ])
    const { journal, outcome, prepared, report, run } = await this.carryOut(
      { command: 'pin', profile, phases: [pin] },
      (result) => memlockText(result.report, memlock(result.prepared.source.helloReply)),
    )
    return { run, outcome, journal, memlockBytes: memlock(prepared.source.helloReply), report }
  }
}

function memlock({ memlockBytes }: HelloReply): bigint | null {
  return memlockBytes === null ? null : BigInt(memlockBytes)
}
