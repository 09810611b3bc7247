/**
 * What is spoken on a run's socket: NDJSON, a request a line, answered under its id.
 *
 *   request  {"id":1,"op":"status","params":{}}
 *   reply    {"id":1,"ok":{…}}  or  {"id":1,"error":{code,exit,message,suggestions}}
 *   event    {"id":1,"event":{…}}        of the `events` request 1, before its reply
 */
import { FerryError, toFerryError, wireCode } from '../errors.js'
import { EXIT_CODES, type ExitCode } from '../exit-codes.js'
import type { EventRecord, Settable } from '../journal/event.js'
import type { CutoverAnswer } from '../run/hold-timer.js'
import type { Condition, RunStatus } from '../journal/status.js'

export const MAX_REQUEST_BYTES = 64 * 1024
export const MAX_CONNECTIONS = 32

export interface ControlRequests {
  readonly status: { params: object; reply: RunStatus }
  /** Replies when the run has ended, or at once without `follow`. */
  readonly events: {
    params: {
      /** The first that is wanted. */
      readonly from?: number
      readonly follow?: boolean
      /** Also the many that only tell of progress, from now on. */
      readonly progress?: boolean
    }
    reply: { readonly last: number }
  }
  /** Replies when the condition is met, or when the run has ended without it. */
  readonly await: {
    params: { readonly condition: Condition }
    reply: { readonly reached: boolean; readonly status: RunStatus }
  }
  readonly cancel: { params: object; reply: object }
  readonly set: { params: { readonly key: Settable; readonly value: string }; reply: object }
  readonly cutover: {
    params: { readonly atMs?: number; readonly withinMs?: number }
    reply: CutoverAnswer
  }
}
export type ControlOp = keyof ControlRequests

export interface ControlError {
  readonly code: string
  readonly exit: ExitCode
  readonly message: string
  readonly suggestions: readonly string[]
}
export type ControlMessage =
  | { readonly id: number; readonly event: EventRecord }
  | { readonly id: number; readonly ok: unknown }
  | { readonly id: number; readonly error: ControlError }
  /** The request could not be read, or the connection is refused. */
  | { readonly id: null; readonly error: ControlError }

export function toControlError(thrown: unknown): ControlError {
  const { code, exit, message, suggestions } = toFerryError(thrown)
  return { code, exit, message, suggestions }
}

export function fromControlError({ code, exit, message, suggestions }: ControlError): FerryError {
  const known = Object.values(EXIT_CODES).some((entry) => entry.exit === exit)
  return new FerryError({
    code: wireCode(code),
    exit: known ? exit : EXIT_CODES.error.exit,
    message,
    suggestions,
  })
}
