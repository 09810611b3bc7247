const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const

/** Bytes for the sentences of a plan: exact where the number is round ("512 MiB"), else one decimal ("1.4 GiB"). */
export function bytesText(bytes: bigint): string {
  let unit = 0
  let scale = 1n
  while (unit < UNITS.length - 1 && bytes >= scale * 1024n) {
    scale *= 1024n
    unit += 1
  }
  const whole = bytes / scale
  const tenths = Number(((bytes - whole * scale) * 10n) / scale)
  return `${whole}${tenths > 0 ? `.${tenths}` : ''} ${UNITS[unit]}`
}

/** Microseconds for the sentences of a plan: "850 us", "12.5 ms", "3.2 s". */
export function microsText(us: number): string {
  if (us < 1000) return `${Math.round(us)} us`
  if (us < 1_000_000) return `${trim(us / 1000)} ms`
  return `${trim(us / 1_000_000)} s`
}

function trim(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '')
}

/** "a", "a and b", "a, b and c". */
export function listText(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** "1 device", "2 devices". */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
