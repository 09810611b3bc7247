import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import type { Profile } from '../src/profile/profile.js'
import { PROFILE_ARG, setFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

interface ValidateResult {
  readonly valid: true
  readonly profile: Profile
}

export default class Validate extends BaseCommand<typeof Validate> {
  static override summary = 'check a migration profile'
  static override description = prose`Checks the profile alone: syntax, keys, values, and that its parts fit together. All problems are printed at once,
each with file, line and column. Looks at no host and no device; \`<%= config.bin %> plan\` does.

In values, \${VAR} is replaced from the environment: \${VAR:-default}, \${VAR:?why it is needed}, $$ for a dollar sign.`
  static override examples = [
    {
      description: 'check a profile',
      command: '<%= config.bin %> <%= command.id %> profiles/quickstart.yaml',
    },
    {
      description: 'see what it comes to, with every default and variable filled in',
      command: '<%= config.bin %> <%= command.id %> profiles/quickstart.yaml --print',
    },
    {
      description: 'try another value without editing the file',
      command:
        '<%= config.bin %> <%= command.id %> vm.yaml --set migration.downtimeLimit=500ms --set devices.vgpu.tracker=all',
    },
  ]
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage]
  static override args = {
    profile: PROFILE_ARG,
  }
  static override flags = {
    print: Flags.boolean({ summary: 'print the resolved profile as YAML' }),
    set: setFlag(),
  }

  async run(): Promise<ValidateResult> {
    const { loadProfile } = await import('../src/profile/load.js')
    const profile = await loadProfile(this.args.profile, { sets: this.flags.set ?? [] })
    if (this.flags.print) {
      const { printProfile } = await import('../src/profile/print.js')
      this.log(printProfile(profile).trimEnd())
    } else {
      const { formatSize } = await import('../src/profile/schema/quantity.js')
      const { devices, memory } = profile
      const bytes = memory.reduce((sum, region) => sum + region.bytes, 0n)
      const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
      this.log(
        `${profile.name}: valid; ${counted(devices.length, 'device')}, ${formatSize(bytes)} in ${counted(memory.length, 'memory region')}`,
      )
    }
    return { valid: true, profile }
  }
}
