/**
 * What every command shares: the global flags, one JSON envelope, warnings, the diagnostic log.
 *
 * A command imports only @oclif/core and this file at the top; everything else is `await import('../src/…')` inside
 * `run()`, which keeps `ferry --help` fast. `run()` prints its results for people with `this.log` and returns them as
 * an object, which becomes the envelope's `result`. A failure is a thrown FerryError.
 */
import { Command, Flags, type Interfaces } from '@oclif/core'
import { errorBody, type ErrorBody } from './error-text.js'
import { FerryError, isQuietExit, toFerryError } from '../errors.js'
import { BadValue, LOG_LEVELS } from './flags.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { toJson } from '../json.js'
import type { Logger } from './log.js'
import { stateFolder } from './state-dir.js'

/** What `--json` prints on stdout, once, whatever happens. */
export interface Envelope {
  readonly command: string
  readonly status: 'ok' | 'error'
  readonly exit: ExitCode
  readonly result: unknown
  readonly warnings: readonly string[]
  readonly error?: ErrorBody
}

type CommandFlags<C extends typeof Command> = Interfaces.InferredFlags<
  (typeof BaseCommand)['baseFlags'] & C['flags']
>
type CommandArgs<C extends typeof Command> = Interfaces.InferredArgs<C['args']>

export abstract class BaseCommand<C extends typeof Command> extends Command {
  static override enableJsonFlag = true
  /** Exit codes of this command, for its help; the table is src/exit-codes.ts. */
  static exitCodes: readonly ExitCode[] = [EXIT.done, EXIT.error, EXIT.usage]

  static override baseFlags = {
    json: Flags.boolean({ summary: 'print one JSON envelope on stdout', helpGroup: 'GLOBAL' }),
    'log-level': Flags.option({
      options: LOG_LEVELS,
      summary: 'write a diagnostic log of this level; to stderr unless --log-file is given',
      helpGroup: 'GLOBAL',
    })(),
    'log-file': Flags.string({
      summary: 'append the diagnostic log to this file (level info unless --log-level says otherwise)',
      helpValue: 'FILE',
      helpGroup: 'GLOBAL',
    }),
    helper: Flags.string({
      summary: 'path of the ferry-helper program on this host',
      helpValue: 'PATH',
      env: 'FERRY_HELPER',
      helpGroup: 'GLOBAL',
    }),
    'state-dir': Flags.string({
      summary: 'folder of journals and locks (default: $XDG_STATE_HOME/ferry)',
      helpValue: 'DIR',
      env: 'FERRY_STATE_DIR',
      helpGroup: 'GLOBAL',
    }),
  }

  protected flags!: CommandFlags<C>
  protected args!: CommandArgs<C>
  protected readonly warnings: string[] = []
  /** Silent unless the operator asked for a log. */
  protected logger: Logger = SILENT
  /** For helpers' clients: nothing to call on each request without a log. */
  protected get requestLog(): Logger | undefined {
    return this.logger === SILENT ? undefined : this.logger
  }

  /** Exit code of a bug. A command that has begun to change hosts sets it to EXIT.unknown. */
  protected unexpectedExit: ExitCode = EXIT.error

  /** The returned object is the envelope's `result`. */
  abstract override run(): Promise<object>

  /** Where journals and locks live: --state-dir, $FERRY_STATE_DIR, or the user's state folder. */
  protected get stateDir(): string {
    return stateFolder(this.flags['state-dir'])
  }

  override async init(): Promise<void> {
    await super.init()
    const { args, flags } = await this.readArgv()
    this.flags = flags as CommandFlags<C>
    this.args = args as CommandArgs<C>
    const { 'log-level': level, 'log-file': file } = this.flags
    if (level !== undefined || file !== undefined) {
      const { openLog } = await import('./log.js')
      this.logger = openLog({ ...(level !== undefined && { level }), ...(file !== undefined && { file }) })
      this.logger.info({ command: this.id, argv: this.argv, version: this.config.version }, 'start')
    }
  }

  /** What a usage error of this command may have meant. */
  protected usageHints(_message: string): readonly string[] {
    return []
  }

  /** What was typed; a usage error that names this command's help when it makes no sense. */
  private async readArgv(): Promise<{ readonly args: unknown; readonly flags: unknown }> {
    try {
      return await this.parse({
        flags: this.ctor.flags,
        baseFlags: BaseCommand.baseFlags,
        enableJsonFlag: this.ctor.enableJsonFlag,
        args: this.ctor.args,
        strict: this.ctor.strict,
      })
    } catch (thrown) {
      if (thrown instanceof BadValue) throw thrown.problem
      const { cause, code, exit, message } = toFerryError(thrown)
      if (thrown instanceof FerryError || exit !== EXIT.usage) throw thrown
      const suggestions = [...this.usageHints(message), `see \`ferry ${this.name} --help\``]
      throw new FerryError({ code, exit, message, cause, suggestions })
    }
  }

  /** A warning for people on stderr, or for scripts in the envelope; never both, never on stdout. */
  override warn(input: Error | string): Error | string {
    const message = input instanceof Error ? input.message : input
    this.warnings.push(message)
    this.logger.warn(message)
    if (!this.jsonEnabled()) process.stderr.write(`warning: ${message}\n`)
    return input
  }

  override toSuccessJson(result: unknown): Envelope {
    return { command: this.name, status: 'ok', exit: EXIT.done, result, warnings: this.warnings }
  }

  override toErrorJson(thrown: unknown): Envelope {
    const error = toFerryError(thrown, this.unexpectedExit)
    return errorEnvelope(this.name, error, this.warnings)
  }

  override logJson(json: unknown): void {
    process.stdout.write(`${toJson(json, 2)}\n`)
  }

  /**
   * Under --json the envelope is printed here and the promise of `run` resolves; otherwise a FerryError is thrown
   * for src/cli/cli.ts to print. Sets the exit code itself: oclif 4 turns a usage error's 2 into 1 under --json.
   */
  protected override async catch(thrown: Error): Promise<void> {
    if (isQuietExit(thrown)) throw thrown
    const error = toFerryError(thrown, this.unexpectedExit)
    this.logger.error({ code: error.code, exit: error.exit, err: thrown }, error.message)
    if (!this.jsonEnabled()) throw error
    process.exitCode = error.exit
    this.logJson(this.toErrorJson(error))
  }

  /** The command as typed, topics separated by spaces. */
  private get name(): string {
    return (this.id ?? this.ctor.name.toLowerCase()).replaceAll(':', ' ')
  }
}

/** The envelope of a failure. */
export function errorEnvelope(
  command: string,
  error: FerryError,
  warnings: readonly string[] = [],
): Envelope {
  return {
    command,
    status: 'error',
    exit: error.exit,
    result: error.result ?? null,
    warnings,
    error: errorBody(error),
  }
}

const SILENT: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT as never,
}
