const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** Bytes for a sentence, one decimal: "8 MiB", "62.7 GiB". */
export function bytesText(bytes: bigint): string {
  let unit = 0
  let scale = 1n
  while (unit < UNITS.length - 1 && bytes >= scale * 1024n) {
    scale *= 1024n
    unit += 1
  }
  const tenths = (bytes * 10n) / scale
  return `${tenths / 10n}${tenths % 10n > 0n ? `.${tenths % 10n}` : ''} ${UNITS[unit]}`
}

/** Microseconds for a sentence: "85 µs", "1.2 ms", "3.4 s". */
export function timeText(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`
  return `${(us / 1_000_000).toFixed(1)} s`
}

/** "a", "a and b", "a, b and c". */
export function listText(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
