/** What goes wrong between ferry and a helper, as errors of the request that waited. */
import type { ErrorCode } from '../error-code.js'
import { FerryError, wireCode } from '../errors.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { endText, type HelperEnd } from '../host/connection.js'
import {
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  type HelperErrorBody,
  type Op,
  type Role,
} from '../protocol/protocol.js'

/** No answer of the helper's own: it died, or the way to it broke. What it did meanwhile is not known. */
export function isLost({ code }: { readonly code: string }): boolean {
  return code.startsWith('link/') || code.startsWith('helper/')
}

/** What one side sees when the other one is in trouble: their connection broke, or the other one gave up. */
export function isPeerLost({ code }: { readonly code: string }): boolean {
  return code.startsWith('link/') || code === 'peer/gave-up'
}

/** Whose error it is. */
interface Speaker {
  readonly side: Role
  readonly label: string
}

/** The helper is gone: by what its way of being reached says of the end, or by its status and last words. */
export function diedError(of: Speaker, op: Op, end: HelperEnd): FerryError {
  if (end.explanation !== undefined) {
    const { code, message, suggestion } = end.explanation
    return failure(of, code, [message, ...end.stderr].join('\n  '), [suggestion])
  }
  const lastWords = end.stderr.length === 0 ? '' : `; its last words:\n  ${end.stderr.slice(-5).join('\n  ')}`
  return failure(of, 'helper/died', `${of.label} ${endText(end)} during ${op}${lastWords}`, [
    'the kernel closed its devices; `ferry devices --host HOST` shows the state of that host’s devices',
  ])
}

/** The reply was not waited for any more. */
export function noReplyError(of: Speaker, op: Op, signal: AbortSignal | undefined): FerryError {
  const timedOut = signal?.reason instanceof Error && signal.reason.name === 'TimeoutError'
  return failure(
    of,
    timedOut ? 'helper/no-reply' : 'helper/not-waited',
    timedOut ? `${of.label} did not answer ${op} in time` : `${op} was not waited for`,
    [],
  )
}

/** Exit 8: no version of the control protocol is common to both programs. */
export function versionError(of: Speaker, found: string, cause?: unknown): FerryError {
  const message = `${of.label}: ferry uses control protocol versions ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}, ${found}`
  const remedy = 'install the ferry-helper of this ferry there, or name another with --helper or `helper:`'
  return failure(of, 'peer/version', message, [remedy], { exit: EXIT.sidesDisagree, cause })
}

/** Exit 8: the helper is of the release before, and does not know what is asked of it. */
export function needsNewerError(
  of: Speaker,
  { spoken, what, version }: { readonly spoken: number; readonly what: string; readonly version: number },
): FerryError {
  const message = `${of.label}: ${what} needs control protocol version ${version}, it uses version ${spoken}`
  const remedy = 'install the ferry-helper of this ferry there, or leave out what needs it'
  return failure(of, 'peer/version', message, [remedy], { exit: EXIT.sidesDisagree })
}

/** A line of the helper that is not a message. */
export function garbageBody(of: Speaker, what: string): HelperErrorBody {
  return body('link/garbage', `${of.label} wrote ${what}`)
}

/** The same, for a request that may have been meant. */
export function garbageError(of: Speaker, { code, message, suggestion }: HelperErrorBody): FerryError {
  return failure(of, wireCode(code), message, suggestion === undefined ? [] : [suggestion])
}

/** A reply to no request. */
export function strayBody(of: Speaker): HelperErrorBody {
  return body('link/stray-reply', `${of.label} answered a request that ferry did not send`)
}

function body(code: ErrorCode, message: string): HelperErrorBody {
  return {
    code,
    message,
    suggestion:
      'nothing but ferry-helper may write to its stdout: look for output of login scripts on that host',
  }
}

function failure(
  { side }: Speaker,
  code: ErrorCode,
  message: string,
  suggestions: readonly string[],
  { cause, exit = EXIT.error }: { readonly cause?: unknown; readonly exit?: ExitCode } = {},
): FerryError {
  return new FerryError({ code, exit, message, suggestions, side, cause })
}
