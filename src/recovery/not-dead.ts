import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Role } from '../protocol/protocol.js'

/** A side was declared dead, and answers. */
export function notDeadError(run: string, side: Role): FerryError {
  return new FerryError({
    code: 'recover/not-dead',
    exit: EXIT.error,
    message: `the ${side} of run ${run} was reached: it is not dead`,
    suggestions: [`\`ferry recover ${run}\` asks it`],
  })
}
