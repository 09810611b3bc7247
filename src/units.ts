/**
 * Figures as people read them: three digits that count, the unit always there. For the eye only; scripts get whole
 * numbers from `--json`.
 */
const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const

/** "0 B", "640 KiB", "1.50 GiB". */
export function size(bytes: bigint): string {
  let unit = 0
  let scale = 1n
  // The next unit begins where this one would round up to 1024.
  while (unit < SIZES.length - 1 && bytes * 2n >= scale * 2047n) {
    scale *= 1024n
    unit++
  }
  if (unit === 0) return `${bytes} B`
  return `${threeDigits(Number((bytes * 100_000n) / scale) / 100_000)} ${SIZES[unit]}`
}

/** For a sentence: a round number as it is ("4 KiB", "512 MiB"), any other as `size` has it. */
export function plainSize(bytes: bigint): string {
  return size(bytes).replace(/^(?<whole>\d+)\.0+ (?<unit>\w+)$/u, (text, whole: string, unit: string) => {
    const scale = 1024n ** BigInt((SIZES as readonly string[]).indexOf(unit))
    return BigInt(whole) * scale === bytes ? `${whole} ${unit}` : text
  })
}

/** "1.50 GiB/s". */
export function rate(bytesPerSecond: bigint): string {
  return `${size(bytesPerSecond)}/s`
}

/** Bytes over microseconds as a rate; null when no time passed. */
export function rateOver(bytes: bigint, elapsedUs: number): bigint | null {
  return elapsedUs <= 0 ? null : (bytes * 1_000_000n) / BigInt(Math.max(1, Math.round(elapsedUs)))
}

/** Microseconds: "85 µs", "4.93 ms", "2.50 s", "3 min 05 s", "2 h 10 min". */
export function duration(us: number): string {
  if (us < 999.5) return `${Math.round(us)} µs`
  if (us < 999_500) return `${threeDigits(us / 1000)} ms`
  const seconds = us / 1_000_000
  if (seconds < 99.95) return `${threeDigits(seconds)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')} min`
}

/** Whole numbers in groups of three: "131 072". */
export function count(value: number | bigint): string {
  return value.toString().replace(/\B(?=(?:\d{3})+$)/gu, ' ')
}

/** "1 device", "2 devices". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** "a", "a and b", "a, b and c". */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** "50 %" of a whole; "100 %" only when all of it is there. */
export function percent(part: bigint, whole: bigint): string {
  if (whole <= 0n) return '-'
  return `${part < whole ? (part * 100n) / whole : 100n} %`
}

function threeDigits(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)
}
