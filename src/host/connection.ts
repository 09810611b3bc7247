import type { ErrorCode } from '../error-code.js'
import type { Readable, Writable } from 'node:stream'
import { LineReader } from './lines.js'

/** A helper process, reached somehow: its pipes, and how it ended. */
export interface Connection {
  /** For messages: "ferry-helper on this host", "ferry-helper on node-b (ssh)". */
  readonly label: string
  readonly stdin: Writable
  readonly stdout: Readable
  /** Settles once, when the process is gone; never rejects. */
  readonly ended: Promise<HelperEnd>
  /** For a helper that does not end by itself after the end of its stdin. */
  kill(signal: NodeJS.Signals): void
  /** It does not keep ferry's process alive any more. */
  unref(): void
}

export interface HelperEnd {
  readonly exitCode: number | null
  readonly signal: string | null
  /** The last lines of its stderr. */
  readonly stderr: readonly string[]
  /** What the way of reaching it says about this end, e.g. that ssh did not get through; with what to do. */
  readonly explanation?: { readonly code: ErrorCode; readonly message: string; readonly suggestion: string }
}

const KEPT_LINES = 20
const STDERR_LINE_LIMIT = 4096

/** Keeps the last lines of a helper's stderr; everything before them is read and dropped. */
export function keepTail(stderr: Readable, onLine?: (line: string) => void): { readonly lines: string[] } {
  const lines: string[] = []
  const reader = new LineReader(STDERR_LINE_LIMIT)
  const take = (chunk: Buffer): void => {
    for (const line of reader.push(chunk)) {
      const text = line.kind === 'line' ? line.text.trimEnd() : `${line.start}…`
      lines.push(text)
      if (lines.length > KEPT_LINES) lines.shift()
      onLine?.(text)
    }
  }
  stderr.on('data', take)
  // A last line without a newline counts here: a crashing program's last words often lack it.
  stderr.on('end', () => take(Buffer.from('\n')))
  stderr.on('error', () => undefined)
  return { lines }
}

/** "exited with status 3", "was killed by SIGKILL". */
export function endText(end: HelperEnd): string {
  if (end.signal !== null) return `was killed by ${end.signal}`
  if (end.exitCode !== null) return `exited with status ${end.exitCode}`
  return 'is gone'
}
