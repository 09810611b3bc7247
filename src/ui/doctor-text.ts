/** A diagnosis as people read it: a block a host, a line a check, what to do below what is wrong. */
import type { Check, Diagnosis, HostReport, Level } from '../doctor/check.js'
import { plural } from '../units.js'
import { textWidth, wrap } from './wrap.js'

export interface DoctorTextOptions {
  /** Columns of the terminal. */
  readonly width?: number
}

export function doctorText({ hosts }: Diagnosis, options: DoctorTextOptions = {}): string {
  const width = textWidth(options.width)
  const layers = hosts.flatMap(({ checks }) => checks.map(({ layer }) => layer.length))
  const columns: Columns = { width, layer: Math.max(0, ...layers) }
  return hosts.map((host) => hostText(host, columns)).join('\n\n')
}

/** Of the terminal, and of the longest layer that is shown. */
interface Columns {
  readonly width: number
  readonly layer: number
}

function hostText(host: HostReport, columns: Columns): string {
  const { width } = columns
  const lines = [heading(host), ...host.checks.map((check) => checkText(check, columns))]
  if (host.unseen.length > 0) {
    lines.push(wrap(`not checked: ${host.unseen.join(', ')}`, width, '  '))
  }
  lines.push(`  ${verdict(host)}`)
  return lines.join('\n')
}

function heading({ host, hostname, sides }: HostReport): string {
  const name = host === 'local' ? 'this host' : host
  const own = hostname === null || hostname === host ? '' : ` (${hostname})`
  return `${name}${own}${sides.length === 0 ? '' : `: ${sides.join(' and ')}`}`
}

function checkText({ code, found, layer, level, remedy }: Check, { layer: longest, width }: Columns): string {
  const lead = `  ${level.padEnd(4)}  ${layer.padEnd(longest)}  `
  const rest = ' '.repeat(lead.length)
  const [first = '', ...more] = found.split('\n')
  const lines = [wrap(level === 'ok' ? first : `${first} [${code}]`, width, lead)]
  // Words of ssh or sudo stay as they were said.
  for (const line of more) lines.push(`${rest}${line.trim()}`)
  if (remedy !== null) lines.push(wrap(`= ${remedy}`, width, rest, `${rest}  `))
  return lines.join('\n')
}

function verdict({ checks }: HostReport): string {
  const of = (level: Level): number => checks.filter((check) => check.level === level).length
  const [failed, warned] = [of('fail'), of('warn')]
  if (failed + warned === 0) return 'nothing is missing'
  const parts = [
    ...(failed > 0 ? [`${plural(failed, 'check')} failed`] : []),
    ...(warned > 0 ? [plural(warned, 'warning')] : []),
  ]
  return parts.join(', ')
}
