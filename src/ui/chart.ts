const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const
const ASCII = [' ', '.', ':', '-', '=', '+', '*', '#', '@'] as const

/** Whether the terminal's character set can show block glyphs; the order of the variables is the C library's. */
export function isUtf8(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return /utf-?8/iu.test(locale)
}

/**
 * One glyph a value, from nothing to `max`. Everything above zero shows at least the lowest mark: a device that
 * writes little must not look as if it wrote nothing.
 */
export function bars(values: readonly bigint[], max: bigint, utf8: boolean): string {
  const glyphs = utf8 ? BLOCKS : ASCII
  const top = BigInt(glyphs.length - 1)
  return values
    .map((value) => {
      if (value <= 0n || max <= 0n) return glyphs[0]
      const level = (value * top + max - 1n) / max
      return glyphs[Number(level > top ? top : level)]
    })
    .join('')
}

/** A bar of `width` cells of which the part done is filled. */
export function gauge(part: bigint, whole: bigint, width: number, utf8: boolean): string {
  const filled = whole <= 0n ? 0 : Number(((part > whole ? whole : part) * BigInt(width)) / whole)
  return (utf8 ? '█' : '#').repeat(filled) + (utf8 ? '░' : '.').repeat(width - filled)
}
