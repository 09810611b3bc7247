import { FerryError, type ErrorInfo, wireCode } from '../errors.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import type { HelperErrorBody, Op, Role } from '../protocol/protocol.js'

/** A helper answered a request with an error. The body stays whole: the journal keeps it as it came. */
export class HelperRequestError extends FerryError {
  readonly body: HelperErrorBody
  readonly op: Op

  constructor(body: HelperErrorBody, context: { readonly side: Role; readonly op: Op }) {
    super({ ...factsOf(body), exit: EXIT.error, operation: body.operation ?? context.op, side: context.side })
    this.name = 'HelperRequestError'
    this.body = body
    this.op = context.op
  }
}

/** Whatever a request was rejected with, as the body that the journal and the report carry. */
export function errorBodyOf(error: unknown): HelperErrorBody {
  if (error instanceof HelperRequestError) return error.body
  if (error instanceof FerryError) {
    const { detail: _d, diagnostics: _g, exit: _e, reasons: _r, result: _t, side: _s, ...rest } = error.info
    const { suggestions, ...facts } = rest
    return { ...facts, ...(suggestions[0] !== undefined && { suggestion: suggestions[0] }) }
  }
  return {
    code: 'internal/bug',
    message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  }
}

/** What a helper's error says, in one sentence: message, what the errno means here, the state left behind. */
export function helperErrorText(body: HelperErrorBody): string {
  const meaning = body.meaning === undefined ? '' : ` (${body.meaning})`
  const state = body.state === undefined ? '' : `; the device is ${body.state}`
  return `${body.message}${meaning}${state}`
}

/** A helper's error as ours. `exit` defaults to 1: the caller knows whether something had been changed already. */
export function fromHelperError(
  body: HelperErrorBody,
  context: { readonly exit?: ExitCode; readonly side?: Role; readonly result?: unknown } = {},
): FerryError {
  return new FerryError({ ...factsOf(body), exit: EXIT.error, ...context })
}

/** What a FerryError takes over from a helper's error. */
export function factsOf(body: HelperErrorBody): Omit<ErrorInfo, 'exit' | 'reasons'> {
  const { code, meaning: _m, state: _s, suggestion, ...facts } = body
  return {
    ...facts,
    code: wireCode(code),
    message: helperErrorText(body),
    suggestions: suggestion === undefined ? [] : [suggestion],
  }
}
