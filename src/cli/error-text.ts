/** A FerryError as people read it on stderr, and as `--json` carries it. */
import { styleText } from 'node:util'
import type { FerryError } from '../errors.js'

/** The envelope's `error`. Keys without a value are left out. */
export interface ErrorBody {
  readonly code: string
  readonly message: string
  readonly side?: string
  readonly device?: string
  readonly operation?: string
  readonly errno?: number
  readonly errnoName?: string
  readonly suggestions: readonly string[]
  readonly reasons: FerryError['reasons']
  readonly diagnostics?: FerryError['diagnostics']
}

export function errorBody(error: FerryError): ErrorBody {
  return {
    code: error.code,
    message: error.message,
    ...(error.side !== undefined && { side: error.side }),
    ...(error.device !== undefined && { device: error.device }),
    ...(error.operation !== undefined && { operation: error.operation }),
    ...(error.errno !== undefined && { errno: error.errno }),
    ...(error.errnoName !== undefined && { errnoName: error.errnoName }),
    suggestions: error.suggestions,
    reasons: error.reasons,
    ...(error.diagnostics.length > 0 && { diagnostics: error.diagnostics }),
  }
}

/**
 * For a terminal or a log, readable without colour:
 *
 *     error[device/busy]: source: vgpu-0: VFIO_GROUP_GET_DEVICE_FD: Device or resource busy
 *       - [group/not-viable] 0000:41:00.2: found …; what would lift it
 *       = help: stop the program that holds it
 */
export function errorText(error: FerryError, colour = false): string {
  const red = (text: string): string => (colour ? styleText(['bold', 'red'], text) : text)
  const bold = (text: string): string => (colour ? styleText('bold', text) : text)
  const lines: string[] = []
  if (error.detail !== undefined) lines.push(error.detail, '')
  const where = [error.side, error.device].filter((part) => part !== undefined).map((part) => `${part}: `)
  lines.push(`${red(`error[${error.code}]`)}: ${where.join('')}${bold(error.message)}${errnoText(error)}`)
  if (error.detail === undefined) {
    for (const reason of error.reasons) {
      const who = [reason.side, reason.device].filter(Boolean).join(' ')
      lines.push(`  - [${reason.code}] ${who === '' ? '' : `${who}: `}${reason.found}`)
      if (reason.remedy !== '') lines.push(`      ${reason.remedy}`)
    }
  }
  for (const suggestion of error.suggestions) lines.push(`  = help: ${suggestion}`)
  if (error.code === 'internal/bug' && error.cause instanceof Error && error.cause.stack !== undefined) {
    lines.push(...error.cause.stack.split('\n').slice(1))
  }
  return lines.join('\n')
}

/** The errno's name, unless the message says it already. */
function errnoText(error: FerryError): string {
  const name = error.errnoName ?? (error.errno === undefined ? undefined : `errno ${error.errno}`)
  return name === undefined || error.message.includes(name) ? '' : ` [${name}]`
}
