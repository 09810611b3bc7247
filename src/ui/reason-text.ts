import type { Reason } from '../inventory/inventory.js'
import { wrap } from './wrap.js'

/** One cause as people read it: its code, whom it concerns, what was found, and what would lift it. */
export function reasonText(reason: Reason, width: number, indent: string, who = ''): string {
  const found = `[${reason.code}] ${who === '' ? '' : `${who}: `}${reason.found}`
  const lines = [wrap(found, width, `${indent}- `)]
  if (reason.remedy !== '') lines.push(wrap(reason.remedy, width, `${indent}  -> `))
  return lines.join('\n')
}
