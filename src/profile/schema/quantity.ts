/**
 * Sizes, times and rates as operators write them. Every parser returns the exact value or a sentence that says what
 * would be right; none rounds.
 */

/** A value, or what is wrong with the text. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string }

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value })
const bad = (problem: string): Parsed<never> => ({ ok: false, problem })

const KIB = 1024n
export const SIZE_UNITS: readonly (readonly [string, bigint])[] = [
  ['TiB', KIB ** 4n],
  ['GiB', KIB ** 3n],
  ['MiB', KIB ** 2n],
  ['KiB', KIB],
  ['B', 1n],
]
const TIME_UNITS: readonly (readonly [string, bigint])[] = [
  ['h', 3_600_000_000n],
  ['m', 60_000_000n],
  ['s', 1_000_000n],
  ['ms', 1000n],
  ['us', 1n],
]
/** Network people count bits, in thousands. */
const BIT_UNITS: readonly (readonly [string, bigint])[] = [
  ['Gbit', 1_000_000_000n],
  ['Mbit', 1_000_000n],
  ['kbit', 1000n],
  ['bit', 1n],
]
const MAX_U64 = 2n ** 64n

/** Bytes: "512MiB", "1.5 GiB", "4096", "0x1000". Anything that makes a whole number of bytes below 2^64. */
export function parseSize(input: string | number | bigint): Parsed<bigint> {
  const example = 'write a size such as 512MiB or 4KiB, or a number of bytes'
  if (typeof input === 'number' && !Number.isSafeInteger(input)) return bad(example)
  const text = String(input).trim()
  if (/^(?:\d+|0x[\da-f]+)$/iu.test(text)) return checked(BigInt(text), example)
  const decimal = /^\d+(?:\.\d+)?\s*(?:[kmgt]b?)$/iu.exec(text)
  if (decimal) {
    const binary = text.replace(/\s*(?<letter>[kmgt])b?$/iu, (_, letter: string) => {
      return `${letter.toUpperCase()}iB`
    })
    return bad(`units are KiB, MiB, GiB and TiB: did you mean ${binary}?`)
  }
  const value = withUnit(text, SIZE_UNITS, 1n)
  return value === undefined ? bad(example) : checked(value, example)
}

/** Microseconds: "300ms", "60s", "1.5s", "2m", "1h", "50us". A bare number has no unit and is refused. */
export function parseTime(input: string | number): Parsed<number> {
  const text = String(input).trim()
  if (/^\d+(?:\.\d+)?$/u.test(text)) return bad(`a time needs a unit: ${text}ms or ${text}s?`)
  const value = withUnit(text, TIME_UNITS, 1n)
  if (value === undefined) return bad('write a time such as 300ms, 60s or 5m')
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return bad('this time is too long')
  return ok(Number(value))
}

/** Bytes per second: "100MiB/s", or in bits "10Gbit/s". */
export function parseRate(input: string | number): Parsed<bigint> {
  const text = String(input).trim()
  const example = 'write a rate such as 100MiB/s or 10Gbit/s'
  if (!/\/s$/u.test(text)) return bad(example)
  const amount = text.slice(0, -2)
  const bits = withUnit(amount, BIT_UNITS, 8n)
  if (bits !== undefined) return checked(bits, example)
  const bytes = /[a-z]$/iu.test(amount) ? parseSize(amount) : bad(example)
  return bytes.ok ? bytes : bad(bytes.problem.includes('did you mean') ? bytes.problem : example)
}

/** Whole percent, 0 to 100: "25%" or 25. */
export function parsePercent(input: string | number): Parsed<number> {
  const digits = /^(?<digits>\d{1,3})\s*%?$/u.exec(String(input).trim())?.groups?.['digits']
  const value = Number(digits)
  return digits !== undefined && value <= 100 ? ok(value) : bad('write a whole percentage from 0% to 100%')
}

/** The shortest exact spelling that `parseSize` reads back. */
export function formatSize(bytes: bigint): string {
  for (const [unit, factor] of SIZE_UNITS) {
    if (bytes >= factor && bytes % factor === 0n) return `${bytes / factor}${unit}`
  }
  return '0B'
}

/** The shortest exact spelling of microseconds that `parseTime` reads back. */
export function formatTime(us: number): string {
  const value = BigInt(us)
  for (const [unit, factor] of TIME_UNITS) {
    if (value >= factor && value % factor === 0n) return `${value / factor}${unit}`
  }
  return '0us'
}

export function formatRate(bytesPerSecond: bigint): string {
  return `${formatSize(bytesPerSecond)}/s`
}

/** "1.5GiB" in units, exactly, or undefined when it is none or no whole multiple of `divisor`. */
function withUnit(
  text: string,
  units: readonly (readonly [string, bigint])[],
  divisor: bigint,
): bigint | undefined {
  const groups = /^(?<whole>\d{1,30})(?:\.(?<part>\d{1,30}))?\s*(?<unit>[A-Za-z]+)$/u.exec(text)?.groups
  const factor = units.find(([unit]) => unit === groups?.['unit'])?.[1]
  if (groups?.['whole'] === undefined || factor === undefined) return undefined
  const part = groups['part'] ?? ''
  const scaled = BigInt(groups['whole'] + part) * factor
  const scale = 10n ** BigInt(part.length) * divisor
  return scaled % scale === 0n ? scaled / scale : undefined
}

function checked(value: bigint, example: string): Parsed<bigint> {
  return value < MAX_U64 ? ok(value) : bad(`this does not fit in 64 bits; ${example}`)
}
