/**
 * Expected failures are values: a stable code a script can match, the exit code, a message that says what and
 * where, and suggestions that say what to do. Anything thrown that is not a FerryError is a bug in ferry and is
 * reported as one. src/cli/error-text.ts turns them into text and JSON.
 */
import type { ErrorCode } from './error-code.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import type { Role } from './protocol/protocol.js'

/** One cause among several of a refusal; a plan's blockers and an inventory's reasons have this shape. */
export interface ErrorReason {
  readonly code: string
  readonly found: string
  readonly remedy: string
  readonly device?: string | null
  readonly side?: string
  readonly layer?: string
}

/** A finding with a place in a file, as `--json` gives it. Lines and columns count from 1. */
export interface Diagnostic {
  readonly code: string
  readonly file: string
  readonly line: number
  readonly column: number
  /** One past the last column on `line`. */
  readonly endColumn: number
  readonly message: string
  readonly help?: string
}

/** All that is known of an error, as JSON carries it: the same error can be made from it again. */
export interface ErrorInfo {
  /** Stable, "area/what", e.g. "profile/unknown-key". */
  readonly code: ErrorCode
  readonly exit: ExitCode
  readonly message: string
  /** The side it happened on. */
  readonly side?: Role
  readonly device?: string
  /** The operation that failed: an ioctl's name, "open", … */
  readonly operation?: string
  readonly errno?: number
  readonly errnoName?: string
  /** What the reader can do, best first. */
  readonly suggestions: readonly string[]
  /** All causes at once. */
  readonly reasons: readonly ErrorReason[]
  readonly diagnostics?: readonly Diagnostic[]
  /** Ready-made text shown to people in place of reasons and diagnostics, e.g. source lines with carets. */
  readonly detail?: string
  /** What the command had found when it failed; becomes the envelope's `result`. */
  readonly result?: unknown
}

/** A value that is undefined is left out. */
type MaybeInfo = { readonly [K in keyof ErrorInfo]?: ErrorInfo[K] | undefined }
export type FerryErrorOptions = MaybeInfo &
  Pick<ErrorInfo, 'code' | 'exit' | 'message'> & { readonly cause?: unknown }

/** A code that came over a wire: a helper of another release may have one that this one does not know. */
export function wireCode(code: string): ErrorCode {
  return code as ErrorCode
}

export class FerryError extends Error {
  /** Keys without a value are left out. */
  readonly info: ErrorInfo
  readonly code: ErrorCode
  readonly exit: ExitCode
  readonly side: Role | undefined
  readonly device: string | undefined
  readonly operation: string | undefined
  readonly errno: number | undefined
  readonly errnoName: string | undefined
  readonly suggestions: readonly string[]
  readonly reasons: readonly ErrorReason[]
  readonly diagnostics: readonly Diagnostic[]
  readonly detail: string | undefined
  readonly result: unknown

  constructor({ cause, ...options }: FerryErrorOptions) {
    super(options.message, cause === undefined ? undefined : { cause })
    this.name = 'FerryError'
    this.info = infoOf(options)
    this.code = this.info.code
    this.exit = this.info.exit
    this.side = this.info.side
    this.device = this.info.device
    this.operation = this.info.operation
    this.errno = this.info.errno
    this.errnoName = this.info.errnoName
    this.suggestions = this.info.suggestions
    this.reasons = this.info.reasons
    this.diagnostics = this.info.diagnostics ?? []
    this.detail = this.info.detail
    this.result = this.info.result
  }

  /** The same error with more, or other, facts. */
  with(more: Partial<ErrorInfo>): FerryError {
    return new FerryError({ ...this.info, ...more, cause: this.cause ?? this })
  }
}

function infoOf({ code, exit, message, ...given }: FerryErrorOptions): ErrorInfo {
  const { detail, device, errno, errnoName, operation, result, side } = given
  const { diagnostics = [], reasons = [], suggestions = [] } = given
  return {
    code,
    exit,
    message,
    ...(side !== undefined && { side }),
    ...(device !== undefined && { device }),
    ...(operation !== undefined && { operation }),
    ...(errno !== undefined && { errno }),
    ...(errnoName !== undefined && { errnoName }),
    suggestions,
    reasons,
    ...(diagnostics.length > 0 && { diagnostics }),
    ...(detail !== undefined && { detail }),
    ...(result !== undefined && { result }),
  }
}

/** A failed Node system call (fs, net, spawn) as ours, with its errno. */
export function fromSystemError(
  error: unknown,
  options: Omit<FerryErrorOptions, 'errno' | 'errnoName' | 'cause'>,
): FerryError {
  const { errno, code } = error as NodeJS.ErrnoException
  return new FerryError({
    ...options,
    // libuv negates errnos; people and errno(3) do not.
    ...(typeof errno === 'number' && { errno: Math.abs(errno) }),
    ...(typeof code === 'string' && { errnoName: code }),
    cause: error,
  })
}

type UsageCode = ErrorCode extends infer C ? (C extends `usage/${infer Word}` ? Word : never) : never

/** Bad usage of the command line, exit 2. */
export function usageError(code: UsageCode, message: string, ...suggestions: string[]): FerryError {
  return new FerryError({ code: `usage/${code}`, exit: EXIT.usage, message, suggestions })
}

/** Shape of oclif's own errors, as far as we read it. */
interface OclifError extends Error {
  readonly oclif?: { readonly exit?: number | false }
  readonly parse?: unknown
  readonly flags?: readonly string[]
  readonly args?: unknown
  readonly code?: string
}

/** oclif throws this to end the process quietly; it is not an error. */
export function isQuietExit(error: unknown): error is Error & { readonly oclif: { readonly exit: number } } {
  return error instanceof Error && (error as OclifError).code === 'EEXIT'
}

/**
 * Whatever was thrown, as a FerryError: ours unchanged, oclif's usage errors with exit 2, the rest as a bug.
 * `unexpectedExit` is the exit code of a bug: 1 while nothing was touched, 9 once a run is under way.
 */
export function toFerryError(thrown: unknown, unexpectedExit: ExitCode = EXIT.error): FerryError {
  if (thrown instanceof FerryError) return thrown
  if (thrown instanceof Error && (thrown as OclifError).oclif !== undefined)
    return fromOclif(thrown as OclifError)
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  return new FerryError({
    code: 'internal/bug',
    exit: unexpectedExit,
    message: `${error.name}: ${error.message}`,
    suggestions: ['this is a bug in ferry: please report it with the stack trace'],
    cause: error,
  })
}

function fromOclif(error: OclifError): FerryError {
  const message = error.message
    .replace(/\n*See more help with --help\n*/u, '')
    // On where to put flags that may be repeated; it hides what is missing.
    .replace(/\n*Note: --[\s\S]*$/u, '')
    // Of flags that do not go together, one on a line.
    .replace(/^The following errors? occurred:\n\s*([\s\S]*)$/u, (_, flags: string) =>
      flags.trim().replace(/\s*\n\s*/gu, '; '),
    )
    .replace(/ {2,}/gu, ': ')
    .replace(/:?\n+\s*/gu, ': ')
    .trim()
  const code = Array.isArray(error.flags)
    ? 'unknown-flag'
    : error.args === undefined
      ? 'invalid'
      : 'arguments'
  return new FerryError({
    code: `usage/${code}`,
    exit: EXIT.usage,
    message,
    suggestions: ['see --help'],
    cause: error,
  })
}
