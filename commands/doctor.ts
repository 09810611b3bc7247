import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { setFlag } from '../src/cli/flags.js'

export default class Doctor extends BaseCommand<typeof Doctor> {
  static override summary = 'check whether hosts are ready for a migration, and say what is missing'
  static override description = [
    [
      'Looks at the connection to the host and its helper, root and capabilities, the kernel and its options, VFIO and iommufd',
      'nodes, the IOMMU, locked and free memory, huge pages, the state folder, the clock and the time to it. Every check',
      'says what was found and what to do. Without a host: this one.',
    ].join(' '),
    [
      'With --profile, both hosts are checked against what the profile needs, and what it does not need is not',
      'checked; between two hosts the data connections are made once, timed and closed. Nothing is changed',
      'but one thing: a helper that is not on another host is copied to its cache folder.',
    ].join(' '),
  ].join('\n\n')
  static override examples = [
    { description: 'this host', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'two others', command: '<%= config.bin %> <%= command.id %> root@node-a root@node-b' },
    {
      description: 'as a user who becomes root there',
      command: '<%= config.bin %> <%= command.id %> ssh://ops@node-b:2222 --become sudo',
    },
    {
      description: 'both hosts of a profile, against what it needs',
      command: '<%= config.bin %> <%= command.id %> --profile vm.yaml',
    },
    {
      description: 'for a script: what failed, and where',
      command:
        '<%= config.bin %> <%= command.id %> node-b --json | jq -r \'.result.hosts[] | .host as $h | .checks[] | select(.level=="fail") | [$h, .code] | @tsv\'',
    },
  ]
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.blocked]
  static override args = {
    host: Args.string({
      description: '"local", [user@]host or ssh://[user@]host[:port]; several may be named',
      multiple: true,
      ignoreStdin: true,
      parse: async (text) => {
        const { parseHost } = await import('../src/profile/schema/address.js')
        const host = parseHost(text)
        if (host.ok) return host.value
        const { usageError } = await import('../src/errors.js')
        throw usageError('host', `${text}: ${host.problem}`)
      },
    }),
  }
  static override flags = {
    profile: Flags.string({
      summary: 'look at the hosts of this profile, for what it needs; - for stdin',
      helpValue: 'FILE',
    }),
    become: Flags.option({
      options: ['sudo'] as const,
      summary: 'how the helper becomes root on the hosts named',
    })(),
    set: setFlag({ with: 'profile' }),
  }

  async run(): Promise<object> {
    const { become, profile: file, set } = this.flags
    const hosts = [...new Set(this.args.host ?? [])]
    const { examinedHost, examinedHosts } = await import('../src/doctor/examined-host.js')
    const { usageError } = await import('../src/errors.js')
    if (file === undefined && set !== undefined) throw usageError('set', '--set goes with --profile')
    if (file !== undefined && (hosts.length > 0 || become !== undefined)) {
      throw usageError(
        'profile-or-hosts',
        'name hosts or a profile, not both',
        'the profile says which hosts and how',
      )
    }
    const { loadProfile } = await import('../src/profile/load.js')
    const profile = file === undefined ? null : await loadProfile(file, { sets: set ?? [] })
    const named = hosts.length === 0 ? ['local'] : hosts
    const examined =
      profile === null ? named.map((host) => examinedHost(host, become ?? null)) : examinedHosts(profile)
    const { diagnose } = await import('../src/doctor/diagnose.js')
    const { unfinishedRuns } = await import('../src/control/list.js')
    const { lost, runs } = await unfinishedRuns(this.stateDir)
    const left = [...runs.map(({ run }) => run), ...lost]
    const diagnosis = await diagnose(
      examined,
      profile,
      {
        stateDir: this.stateDir,
        helper: this.flags.helper,
        root: this.config.root,
        onStderr: (line) => this.logger.info(line),
      },
      left,
    )
    if (left.length > 0 && !diagnosis.hosts.some(({ host }) => host === 'local'))
      this.warn(
        `${left.length} runs of this ferry are left unfinished: \`ferry list --unfinished\` shows them`,
      )
    const { doctorText } = await import('../src/ui/doctor-text.js')
    this.log(doctorText(diagnosis, process.stdout.isTTY ? { width: process.stdout.columns } : {}))
    if (diagnosis.sound) return diagnosis
    const { FerryError } = await import('../src/errors.js')
    const failed = diagnosis.hosts.filter(({ checks }) => checks.some(({ level }) => level === 'fail'))
    throw new FerryError({
      code: 'doctor/unsound',
      exit: EXIT.blocked,
      message: `${failed.map(({ host }) => (host === 'local' ? 'this host' : host)).join(' and ')}: not ready; the checks above say what to do`,
      result: diagnosis,
    })
  }
}
