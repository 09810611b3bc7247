/** oclif's help, with the exit codes a script can branch on, and usage lines without the flags every command has. */
import { CommandHelp, Help } from '@oclif/core'
import { wantsColour } from '../terminal.js'
import { rootHelp } from './root-help.js'
import { EXIT_CODES, type ExitCode } from '../exit-codes.js'

type HelpSections = ReturnType<CommandHelp['sections']>

class FerryCommandHelp extends CommandHelp {
  protected override sections(): HelpSections {
    const codes = (this.command as { exitCodes?: readonly ExitCode[] }).exitCodes ?? []
    return [...super.sections(), { header: 'EXIT CODES', generate: () => exitCodeLines(codes) }]
  }

  protected override defaultUsage(): string {
    const { command } = this
    const own = Object.entries(command.flags).filter(([, flag]) => flag.helpGroup !== 'GLOBAL')
    try {
      this.command = { ...command, flags: Object.fromEntries(own) }
      return super.defaultUsage()
    } finally {
      this.command = command
    }
  }
}

export default class FerryHelp extends Help {
  protected override CommandHelpClass = FerryCommandHelp

  protected override async showRootHelp(): Promise<void> {
    const { pjson, userAgent } = this.config
    const text = rootHelp({
      description: pjson.description ?? '',
      version: userAgent,
      commands: this.sortedCommands.filter(({ hidden }) => !hidden),
      width: this.opts.maxWidth,
      colour: wantsColour(process.stdout),
    })
    this.log(text.trimEnd())
    this.log('')
  }
}

function exitCodeLines(codes: readonly ExitCode[]): string {
  return Object.values(EXIT_CODES)
    .filter(({ exit }) => codes.includes(exit))
    .map(({ exit, meaning }) => `${exit}  ${meaning}`)
    .join('\n')
}
