import { MAX_LINE_BYTES } from '../protocol/protocol.js'

export type Line =
  | { readonly kind: 'line'; readonly text: string }
  /** A line over the limit; its bytes were dropped up to the next newline, only its beginning is kept. */
  | { readonly kind: 'too-long'; readonly start: string }

const NEWLINE = 0x0a
const KEPT_OF_TOO_LONG = 120

/**
 * Cuts a byte stream into lines without ever holding more than the limit: a peer that never sends a newline costs
 * 1 MiB, not the machine. Cut on bytes, decoded a whole line at a time, so a UTF-8 sequence split between two
 * chunks stays whole. A last line without its newline is not given out: it is a torn write.
 */
export class LineReader {
  private chunks: Buffer[] = []
  private held = 0
  private dropping = false
  private readonly limit: number

  constructor(limit: number = MAX_LINE_BYTES) {
    this.limit = limit
  }

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let from = 0
    for (;;) {
      const at = chunk.indexOf(NEWLINE, from)
      const part = chunk.subarray(from, at === -1 ? chunk.length : at)
      if (!this.dropping) {
        this.chunks.push(part)
        this.held += part.length
        if (this.held > this.limit) {
          lines.push({ kind: 'too-long', start: this.take().toString('utf8').slice(0, KEPT_OF_TOO_LONG) })
          this.dropping = true
        }
      }
      if (at === -1) return lines
      if (!this.dropping) {
        const text = this.take().toString('utf8')
        if (text.trim() !== '') lines.push({ kind: 'line', text })
      }
      this.dropping = false
      from = at + 1
    }
  }

  private take(): Buffer {
    const whole = Buffer.concat(this.chunks, this.held)
    this.chunks = []
    this.held = 0
    return whole
  }
}
