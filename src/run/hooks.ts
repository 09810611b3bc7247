/** Running the commands of a profile's `hooks:` at their points. */
import { FerryError, wireCode } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { HelperErrorBody } from '../protocol/protocol.js'
import type { Hook, Profile } from '../profile/profile.js'
import { FINAL_POINTS, type HookPoint } from '../points.js'
import type { EventStream } from '../journal/event-stream.js'

/** How a hook's command ended; what src/link's `run` answers. */
export interface HookEnd {
  readonly exitCode: number | null
  readonly signal?: string | null
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  readonly aborted: boolean
}
/** Where a hook runs. The command and all it started are stopped at the timeout and by the signal. */
export interface HookHost {
  run(
    command: readonly string[],
    options: {
      readonly env: Readonly<Record<string, string>>
      readonly timeoutMs: number
      readonly signal: AbortSignal
    },
  ): Promise<HookEnd>
}
export interface HooksInput {
  readonly run: string
  readonly profile: Profile
  readonly events: EventStream
  readonly hostOf: (on: Hook['on']) => HookHost
  /** Of the newest round; null before the first. */
  readonly forecastUs: () => number | null
  /** The failure of a hook whose failure only warns. */
  readonly onProblem: (problem: HelperErrorBody) => void
  /** Those that ran before, under another ferry. */
  readonly ran?: ReadonlySet<string>
}

export function hookKey({ at, name }: Pick<Hook, 'at' | 'name'>): string {
  return `${at} ${name}`
}

/** After these nothing is aborted. */
const FINAL: ReadonlySet<HookPoint> = new Set(FINAL_POINTS)
const KEPT_LINES = 20
const LONGEST_LINE = 400

export class HookRunner {
  private readonly input: HooksInput

  constructor(input: HooksInput) {
    this.input = input
  }

  at(point: HookPoint): readonly Hook[] {
    return this.input.profile.hooks.filter((hook) => hook.at === point)
  }

  /**
   * Runs the hooks of a point in the profile's order. Throws at the first that fails and whose failure aborts; the
   * others of the point are then not run. `signal` kills the one that runs.
   */
  async run(point: HookPoint, signal: AbortSignal, outcome?: string): Promise<void> {
    for (const hook of this.at(point)) {
      if (signal.aborted) return
      if (this.input.ran?.has(hookKey(hook)) === true) continue
      const failure = await this.one(hook, signal, outcome)
      if (failure === null || signal.aborted) continue
      if (hook.onFailure === 'warn' || FINAL.has(point)) {
        this.input.onProblem(failure)
        continue
      }
      throw new FerryError({
        code: wireCode(failure.code),
        exit: EXIT.rolledBack,
        message: failure.message,
        suggestions: failure.suggestion === undefined ? [] : [failure.suggestion],
      })
    }
  }

  private async one(
    hook: Hook,
    signal: AbortSignal,
    outcome: string | undefined,
  ): Promise<HelperErrorBody | null> {
    const { events, hostOf } = this.input
    const { at, command, inBlackout, name, on, timeoutMs } = hook
    const startUs = events.nowUs()
    let end: HookEnd
    try {
      end = await hostOf(on).run(command, { env: this.environment(hook, outcome), timeoutMs, signal })
    } catch (error) {
      const stderr = error instanceof Error ? error.message : String(error)
      end = { exitCode: null, stdout: '', stderr, timedOut: false, aborted: false }
    }
    const error = failureOf(hook, end)
    events.emit({
      type: 'hook',
      hook: name,
      at,
      on,
      ok: error === null,
      inBlackout,
      elapsedUs: events.nowUs() - startUs,
      output: lastLines(end),
      ...(error !== null && { error }),
    })
    return error
  }

  private environment(hook: Hook, outcome: string | undefined): Record<string, string> {
    const { forecastUs, profile, run } = this.input
    const forecast = forecastUs()
    return {
      FERRY_RUN: run,
      FERRY_PROFILE: profile.name,
      FERRY_HOOK: hook.name,
      FERRY_POINT: hook.at,
      FERRY_SOURCE: profile.source.host,
      FERRY_DESTINATION: profile.destination.host,
      FERRY_DEVICES: profile.devices.map(({ name }) => name).join(' '),
      FERRY_FORECAST_US: forecast === null ? '' : String(Math.round(forecast)),
      FERRY_OUTCOME: outcome ?? '',
    }
  }
}

function failureOf(hook: Hook, end: HookEnd): HelperErrorBody | null {
  if (end.exitCode === 0 && !end.timedOut && !end.aborted) return null
  const { at, command, name, timeoutMs } = hook
  const last = lastLines(end).at(-1)
  const how = end.timedOut
    ? `ran longer than ${timeoutMs} ms and was killed`
    : end.aborted
      ? 'was killed, because the run did not go on'
      : end.exitCode === null
        ? end.signal
          ? `was killed by ${end.signal}`
          : 'could not be run'
        : `ended with status ${end.exitCode}`
  return {
    code: end.timedOut ? 'hook/timed-out' : end.aborted ? 'hook/killed' : 'hook/failed',
    message: `hook ${name} at ${at} ${how}${last === undefined ? '' : `: ${last}`}`,
    suggestion: `run it by hand on that host: ${command.join(' ')}`,
  }
}

/** What it said last, bounded: a journal is not a log of hooks. */
function lastLines({ stderr, stdout }: HookEnd): readonly string[] {
  return [stdout, stderr]
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-KEPT_LINES)
    .map((line) => (line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line))
}
