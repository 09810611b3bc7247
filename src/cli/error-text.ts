/** A FerryError as people read it on stderr, and as `--json` carries it. */
import { styleText } from 'node:util'
import type { ErrorInfo, FerryError } from '../errors.js'

/** The envelope's `error`. Keys without a value are left out. */
export type ErrorBody = Omit<ErrorInfo, 'exit' | 'detail' | 'result'>

export function errorBody({ info }: FerryError): ErrorBody {
  const { detail: _detail, exit: _exit, result: _result, ...body } = info
  return body
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
  const { detail, device, reasons, side, suggestions } = error.info
  if (detail !== undefined) lines.push(detail, '')
  const where = [side, device].filter((part) => part !== undefined).map((part) => `${part}: `)
  lines.push(`${red(`error[${error.code}]`)}: ${where.join('')}${bold(error.message)}${errnoText(error)}`)
  if (detail === undefined) {
    for (const reason of reasons) {
      const who = [reason.side, reason.device].filter(Boolean).join(' ')
      lines.push(`  - [${reason.code}] ${who === '' ? '' : `${who}: `}${reason.found}`)
      if (reason.remedy !== '') lines.push(`      ${reason.remedy}`)
    }
  }
  for (const suggestion of suggestions) lines.push(`  = help: ${suggestion}`)
  if (error.code === 'internal/bug' && error.cause instanceof Error && error.cause.stack !== undefined) {
    lines.push(...error.cause.stack.split('\n').slice(1))
  }
  return lines.join('\n')
}

/** The errno's name, unless the message says it already. */
function errnoText({ info, message }: FerryError): string {
  const name = info.errnoName ?? (info.errno === undefined ? undefined : `errno ${info.errno}`)
  return name === undefined || message.includes(name) ? '' : ` [${name}]`
}
