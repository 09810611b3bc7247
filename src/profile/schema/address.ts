/** PCI addresses, mdev UUIDs, hosts and listen addresses: what each looks like, and what is wrong with one that does not. */
import { isIP } from 'node:net'
import type { Parsed } from './quantity.js'

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value })
const bad = (problem: string): Parsed<never> => ({ ok: false, problem })

/** "0000:41:00.2", in lower case as sysfs names it. */
export function parseBdf(text: string): Parsed<string> {
  const groups =
    /^(?:(?<domain>[\da-f]{4,8}):)?(?<bus>[\da-f]{2}):(?<device>[\da-f]{2})\.(?<fn>[\da-f])$/iu.exec(
      text,
    )?.groups
  if (groups === undefined) return bad('write a PCI address as domain:bus:device.function, e.g. 0000:41:00.2')
  const { domain, bus, device, fn } = groups
  if (Number.parseInt(device ?? '', 16) > 0x1f) return bad('a PCI device number goes from 00 to 1f')
  if (Number.parseInt(fn ?? '', 16) > 7) return bad('a PCI function number goes from 0 to 7')
  // lspci leaves domain 0 out; more than one domain is common on servers, so we want it said.
  if (domain === undefined) return bad(`the PCI domain is missing: did you mean 0000:${text.toLowerCase()}?`)
  return ok(`${domain}:${bus}:${device}.${fn}`.toLowerCase())
}

/** An mdev's UUID, in lower case as sysfs names it. */
export function parseUuid(text: string): Parsed<string> {
  if (/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(text)) return ok(text.toLowerCase())
  const digits = text.replaceAll(/[{}\s-]/gu, '')
  if (/^[\da-f]{32}$/iu.test(digits)) {
    const dashed = digits.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, '$1-$2-$3-$4-$5')
    return bad(`a UUID is written with dashes: did you mean ${dashed}?`)
  }
  return bad('write the UUID as `ls /sys/bus/mdev/devices` shows it')
}

/** A host as the profile names it, taken apart. */
export interface HostName {
  /** null: the user ssh would take. */
  readonly user: string | null
  /** A name or an IP address, without brackets. */
  readonly name: string
  /** null: the port ssh would take. */
  readonly port: number | null
}

const HOST_FORMS = 'write `local`, or a host for ssh: [user@]host or ssh://[user@]host[:port]'

/**
 * "local", or what ssh takes: [user@]host, or ssh://[user@]host[:port]. Never an option: ssh would read a leading dash
 * as one. The text itself is kept; `splitHost` takes it apart.
 */
export function parseHost(text: string): Parsed<string> {
  const parsed = parseHostName(text)
  return parsed.ok ? ok(text) : parsed
}

/**
 * The parts of a host that `parseHost` accepted. ssh itself reads neither "[2001:db8::7]" nor ssh:// with an IPv6
 * address (OpenSSH 9.2): it must be given the bare address, and the port by -p.
 */
export function splitHost(text: string): HostName {
  const parsed = parseHostName(text)
  return parsed.ok ? parsed.value : { user: null, name: text, port: null }
}

function parseHostName(text: string): Parsed<HostName> {
  const groups =
    /^(?<scheme>ssh:\/\/)?(?:(?<user>[A-Za-z0-9_][\w.-]*)@)?(?<rest>[A-Za-z0-9_[:][\w.:%[\]-]*)$/u.exec(
      text,
    )?.groups
  if (groups === undefined) return bad(HOST_FORMS)
  const { scheme, user = null, rest = '' } = groups
  if (scheme === undefined && isIP(rest) === 6) return ok({ user, name: rest, port: null })
  const parts = /^(?:\[(?<six>[^[\]]+)\]|(?<name>[^:%[\]]+))(?::(?<port>[1-9]\d*))?$/u.exec(rest)?.groups
  if (parts === undefined) {
    const six = scheme !== undefined && isIP(rest) === 6
    return bad(six ? `an IPv6 address stands in brackets there: ssh://[${rest}]` : HOST_FORMS)
  }
  const { six, name = six ?? '', port } = parts
  if (six !== undefined && isIP(six) !== 6) return bad(`${six} is not an IPv6 address`)
  if (port === undefined) return ok({ user, name, port: null })
  if (Number(port) > 65_535) return bad('a port goes from 1 to 65535')
  if (scheme !== undefined) return ok({ user, name, port: Number(port) })
  return bad(`for a port, write ssh://${text}`)
}

export interface ListenAddress {
  readonly address: string
  readonly port: number
}

/** "192.0.2.7:7440" or "[2001:db8::7]:7440"; port 0 lets the kernel choose. */
export function parseListen(text: string): Parsed<ListenAddress> {
  const groups = /^(?:\[(?<six>[^\]]*)\]|(?<four>[^:[\]]*)):(?<port>\d{1,5})$/u.exec(text)?.groups
  const address = groups?.['six'] ?? groups?.['four']
  const family = groups?.['six'] === undefined ? 4 : 6
  if (address === undefined || isIP(address) !== family) {
    const six = isIP(text) === 6 ? `: did you mean [${text}]:0?` : ''
    return bad(`write an IP address and a port, e.g. 192.0.2.7:7440 or [2001:db8::7]:7440${six}`)
  }
  const port = Number(groups?.['port'])
  return port > 65_535 ? bad('a port goes from 0 (any free one) to 65535') : ok({ address, port })
}

export function formatListen({ address, port }: ListenAddress): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`
}

export function isLoopback(address: string): boolean {
  return address === '::1' || /^127\./u.test(address)
}

export function isWildcard(address: string): boolean {
  return address === '::' || address === '0.0.0.0'
}
