import { Flags } from '@oclif/core'
import { EXIT, EXIT_CODES, type ExitCode } from '../src/exit-codes.js'
import type { FoundRun } from '../src/control/client.js'
import { RunQuery } from '../src/cli/run-query.js'
import type { RunStatus } from '../src/journal/status.js'
import { RUN_ARG, timeFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Await extends RunQuery<typeof Await> {
  static override summary = 'wait until a run is held, committed, or over'
  static override description = prose`held: the run waits at its hold, and \`ferry cutover\` continues it. committed: the destination runs, or will.
ended: the run is over, and its exit code is this command's. Exits 0 once it is held or committed. A run that ends
before that gives its own exit code, one whose ferry died gives 9, and a wait longer than --timeout gives 1
(await/timeout).`
  static override exitCodes = Object.values(EXIT_CODES).map(({ exit }) => exit)

  static override examples = [
    {
      description: 'wait for the hold, ten minutes at most',
      command: '<%= config.bin %> <%= command.id %> last --condition held --timeout 10m',
    },
    {
      description: 'how did it end?',
      command:
        "<%= config.bin %> <%= command.id %> last --condition ended --json | jq -r '.result.status.ended.outcome'",
    },
  ]

  static override args = { run: RUN_ARG }

  static override flags = {
    condition: Flags.option({
      options: ['held', 'committed', 'ended'] as const,
      required: true,
      summary: 'what to wait for',
    })(),
    timeout: timeFlag({ summary: 'longest wait (otherwise: as long as it takes)', helpValue: '10m' }),
  }

  async run(): Promise<object> {
    const timeoutMs = this.flags.timeout ?? null
    return this.withRun(this.args.run, async (found) => {
      const { condition } = this.flags
      const [{ driverGoneError }, { conditionMet }] = await Promise.all([
        import('../src/control/client.js'),
        import('../src/journal/status.js'),
      ])
      const status = await this.wait(found, timeoutMs)
      const result = { run: found.run, condition, status }
      const failed = condition === 'ended' && status.ended !== null && status.ended.exit !== EXIT.done
      if (conditionMet(status, condition) && !failed) {
        this.log(`run ${found.run}: ${condition}${status.ended === null ? '' : ` (${status.ended.outcome})`}`)
        return result
      }
      if (status.ended === null) throw driverGoneError(found)
      const { FerryError } = await import('../src/errors.js')
      const { error, exit, outcome } = status.ended
      throw new FerryError({
        code: 'await/ended',
        // A run that ended well without ever meeting the condition is not a success for this command.
        exit: exit === EXIT.done ? EXIT.error : (exit as ExitCode),
        message: `run ${found.run} ended ${outcome}${failed ? '' : ` and was never ${condition}`}${error === null ? '' : `: [${error.code}] ${error.message}`}`,
        suggestions: [`\`ferry report ${found.run}\` shows what happened`],
        result,
      })
    })
  }

  /** The status in which the wait ended; throws await/timeout. */
  private async wait(found: FoundRun, timeoutMs: number | null): Promise<RunStatus> {
    const [{ revive, runStatus }, { FerryError }, { duration }] = await Promise.all([
      import('../src/control/client.js'),
      import('../src/errors.js'),
      import('../src/units.js'),
    ])
    const { connection, run } = found
    const { condition } = this.flags
    if (connection === null) return runStatus(found)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      if (timeoutMs === null) return
      const timeout = new FerryError({
        code: 'await/timeout',
        exit: EXIT.error,
        message: `run ${run} was not ${condition} within ${duration(timeoutMs * 1000)}`,
        suggestions: [
          `it goes on: \`ferry status ${run}\` shows how it stands, \`ferry cancel ${run}\` ends it`,
        ],
      })
      // Longer timers overflow.
      timer = setTimeout(() => reject(timeout), Math.min(timeoutMs, 2 ** 31 - 1))
    })
    try {
      const { status } = await Promise.race([connection.request('await', { condition }), late])
      return revive(status)
    } catch (error) {
      if (error instanceof FerryError && error.code === 'run/gone') {
        return await runStatus({ ...found, connection: null, records: await journalOf(found) })
      }
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

async function journalOf(found: FoundRun): Promise<FoundRun['records']> {
  const { readJournal } = await import('../src/journal/read.js')
  return readJournal(found.journal).records
}
