import { FerryError } from '../errors.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import type { HelperErrorBody, Op, Role } from '../protocol/protocol.js'

/** A helper answered a request with an error. The body stays whole: the journal keeps it as it came. */
export class HelperRequestError extends FerryError {
  readonly body: HelperErrorBody
  readonly op: Op

  constructor(body: HelperErrorBody, context: { readonly side: Role; readonly op: Op }) {
    super({
      code: body.code,
      exit: EXIT.error,
      message: helperErrorText(body),
      suggestions: body.suggestion === undefined ? [] : [body.suggestion],
      side: context.side,
      operation: body.operation ?? context.op,
      ...(body.device !== undefined && { device: body.device }),
      ...(body.errno !== undefined && { errno: body.errno }),
      ...(body.errnoName !== undefined && { errnoName: body.errnoName }),
    })
    this.name = 'HelperRequestError'
    this.body = body
    this.op = context.op
  }
}

/** Whatever a request was rejected with, as the body that the journal and the report carry. */
export function errorBodyOf(error: unknown): HelperErrorBody {
  if (error instanceof HelperRequestError) return error.body
  if (error instanceof FerryError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.device !== undefined && { device: error.device }),
      ...(error.operation !== undefined && { operation: error.operation }),
      ...(error.errno !== undefined && { errno: error.errno }),
      ...(error.errnoName !== undefined && { errnoName: error.errnoName }),
      ...(error.suggestions[0] !== undefined && { suggestion: error.suggestions[0] }),
    }
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
  return new FerryError({
    code: body.code,
    exit: context.exit ?? EXIT.error,
    message: helperErrorText(body),
    suggestions: body.suggestion === undefined ? [] : [body.suggestion],
    ...(body.device !== undefined && { device: body.device }),
    ...(body.errno !== undefined && { errno: body.errno }),
    ...(body.errnoName !== undefined && { errnoName: body.errnoName }),
    ...(body.operation !== undefined && { operation: body.operation }),
    ...(context.side !== undefined && { side: context.side }),
    ...(context.result !== undefined && { result: context.result }),
  })
}
