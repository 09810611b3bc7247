import { Args } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { prose } from '../src/cli/help-text.js'
import { EXIT } from '../src/exit-codes.js'

export default class Explain extends BaseCommand<typeof Explain> {
  static override summary = 'say what a code means and what to do about it'
  static override description = prose`For each code of an error, a blocker or a warning, or for the number of an exit code: what it means, what usually
causes it, what to do, and where it comes up. Without an argument, lists every code.`

  static override examples = [
    {
      description: 'explain the code of an error',
      command: '<%= config.bin %> <%= command.id %> device/busy',
    },
    { description: 'explain an exit code', command: '<%= config.bin %> <%= command.id %> 6' },
    {
      description: 'explain why the last plan was blocked',
      command:
        "<%= config.bin %> <%= command.id %> $(<%= config.bin %> plan vm.yaml --json | jq -r '.error.reasons[].code')",
    },
  ]
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage]
  static override args = {
    code: Args.string({
      multiple: true,
      ignoreStdin: true,
      description: 'code, or number of an exit code; repeatable',
    }),
  }

  async run(): Promise<object> {
    const [{ allCodes, explain, FAMILIES }, { explanationText, listText }, { wrap }] = await Promise.all([
      import('../src/codes/catalogue.js'),
      import('../src/codes/text.js'),
      import('../src/ui/wrap.js'),
    ])
    const lines = { width: Math.max(40, (process.stdout.isTTY && process.stdout.columns) || 80), wrap }
    const asked = [...new Set(this.args.code ?? [])]
    if (asked.length === 0) {
      this.log(listText(FAMILIES, lines))
      return { families: FAMILIES }
    }
    const explained = []
    for (const code of asked) {
      const found = explain(code)
      if (found === undefined) throw await unknownCode(code, allCodes())
      explained.push(found)
    }
    this.log(explained.map((each) => explanationText(each, lines)).join('\n\n'))
    return { codes: explained }
  }
}

async function unknownCode(code: string, known: readonly string[]): Promise<Error> {
  const [{ usageError }, { didYouMean }] = await Promise.all([
    import('../src/errors.js'),
    import('../src/did-you-mean.js'),
  ])
  const near = didYouMean(code, known)
  return usageError(
    'unknown-code',
    `there is no code ${code}`,
    ...(near === undefined ? [] : [`did you mean \`ferry explain ${near}\`?`]),
    '`ferry explain` lists all codes',
  )
}
