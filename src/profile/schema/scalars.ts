/** zod schemas of the values that have a syntax of their own: they check the text and give the value it stands for. */
import { SOCKET_PATH_BYTES } from '../../limits.js'
import { isIP } from 'node:net'
import * as z from 'zod'
import { parseBdf, parseHost, parseListen, parseUuid } from './address.js'
import type { ProfileCode } from '../findings/codes.js'
import { parsePercent, parseRate, parseSize, parseTime, type Parsed } from './quantity.js'

/** Text or a number that `parse` reads; a failure keeps its own code. */
function scalar<T>(code: ProfileCode, needed: string, parse: (input: string | number) => Parsed<T>) {
  return z
    .union([z.string(), z.number()], { error: needed })
    .transform((input, context) => accept(code, parse(input), context))
}

function text<T>(code: ProfileCode, parse: (input: string) => Parsed<T>) {
  return z.string().transform((input, context) => accept(code, parse(input), context))
}

function accept<T>(code: ProfileCode, parsed: Parsed<T>, context: z.RefinementCtx): T {
  if (parsed.ok) return parsed.value
  context.addIssue({ code: 'custom', message: parsed.problem, params: { code } })
  return z.NEVER
}

function positive<T extends bigint | number>(parsed: Parsed<T>): Parsed<T> {
  if (!parsed.ok || parsed.value > 0) return parsed
  return { ok: false, problem: 'this must be more than zero' }
}

function wholeMs(parsed: Parsed<number>): Parsed<number> {
  if (!parsed.ok) return parsed
  if (parsed.value === 0 || parsed.value % 1000 !== 0)
    return { ok: false, problem: 'write whole milliseconds, 1ms or more' }
  return { ok: true, value: parsed.value / 1000 }
}

export const size = () => scalar('profile/size', 'a size such as 512MiB', parseSize)
export const iova = () => scalar('profile/size', 'an address such as 0x100000000', parseSize)
export const rate = () => scalar('profile/rate', 'a rate such as 100MiB/s', parseRate)
export const positiveRate = () =>
  scalar('profile/rate', 'a rate such as 100MiB/s', (input) => positive(parseRate(input)))
export const percent = () => scalar('profile/percent', 'a percentage such as 25%', parsePercent)
/** Milliseconds, at least 1. */
export const milliseconds = () =>
  scalar('profile/time', 'a time such as 300ms', (input) => wholeMs(parseTime(input)))
/** Microseconds, 0 allowed. */
export const microseconds = () => scalar('profile/time', 'a time such as 2ms', parseTime)

export const bdf = () => text('profile/bdf', parseBdf)
export const uuid = () => text('profile/uuid', parseUuid)
export const host = () => text('profile/host', parseHost)
export const listen = () => text('profile/listen', parseListen)

export const ip = () =>
  text('profile/address', (input) =>
    isIP(input) === 0
      ? { ok: false, problem: 'write an IP address, e.g. 192.0.2.7' }
      : { ok: true, value: input },
  )
export const interfaceName = () =>
  text('profile/interface', (input) =>
    /^[^\s/:]{1,15}$/u.test(input)
      ? { ok: true, value: input }
      : { ok: false, problem: 'write the name of a network interface, e.g. eth1' },
  )
export const name = () =>
  text('profile/name', (input) =>
    /^[A-Za-z0-9][\w.-]{0,63}$/u.test(input)
      ? { ok: true, value: input }
      : {
          ok: false,
          problem: 'names are up to 64 letters, digits, `.`, `_` or `-`, not beginning with a sign',
        },
  )
export const absolutePath = () =>
  text('profile/path', (input) =>
    input.startsWith('/') && !input.includes('\0')
      ? { ok: true, value: input }
      : { ok: false, problem: 'write an absolute path' },
  )
/** The path of a unix socket. */
export const socketPath = () =>
  text('profile/path', (input) =>
    input.startsWith('/') && !input.includes('\0') && Buffer.byteLength(input) <= SOCKET_PATH_BYTES
      ? { ok: true, value: input }
      : {
          ok: false,
          problem: `write an absolute path of at most ${SOCKET_PATH_BYTES} bytes, which is all a unix socket has`,
        },
  )
/** Program and arguments. */
export const command = () =>
  z
    .array(z.string().regex(/^[^\0]+$/u, 'an argument cannot be empty or hold a zero byte'))
    .min(1, 'a command is needed')
/** A number that counts something; u64 seeds beyond 2^53 are not exact in JSON and refused. */
export const count = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) =>
  z.number().int().min(minimum).max(maximum)

/** Exactly one of the keys of an object of optional keys. */
export function exactlyOne<T extends z.ZodType<object>>(schema: T, keys: string): T {
  return schema.superRefine((value, context) => {
    const given = Object.keys(value).length
    if (given === 1) return
    context.addIssue({
      code: 'custom',
      message: given === 0 ? `one of ${keys} is needed` : `only one of ${keys} can be given`,
      params: { code: 'profile/exactly-one' },
    })
  })
}
