import { Args } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { prose } from '../src/cli/help-text.js'
import type { Shell } from '../src/cli/completion-scripts.js'

export default class Completion extends BaseCommand<typeof Completion> {
  static override summary = 'print a script that completes ferry in a shell'
  static override description = prose`Completes commands, flags and their values, profile files, and the ids of runs. The script asks ferry itself at each
Tab, so it stays right when ferry is updated.`

  static override examples = [
    { description: 'for this bash', command: 'source <(<%= config.bin %> <%= command.id %> bash)' },
    {
      description: 'for every new zsh, in a folder of its fpath',
      command: '<%= config.bin %> <%= command.id %> zsh > ~/.zfunc/_ferry',
    },
    {
      description: 'for every new fish',
      command: '<%= config.bin %> <%= command.id %> fish > ~/.config/fish/completions/ferry.fish',
    },
  ]

  static override args = {
    shell: Args.string({
      required: true,
      options: ['bash', 'zsh', 'fish'] satisfies Shell[],
      description: 'the shell',
    }),
  }

  async run(): Promise<object> {
    const { COMPLETION_SCRIPTS } = await import('../src/cli/completion-scripts.js')
    const shell = this.args.shell as Shell
    const script = COMPLETION_SCRIPTS[shell]
    this.log(script.trimEnd())
    return { shell, script }
  }
}
