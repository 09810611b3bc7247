import { wantsColour } from '../terminal.js'
import type { Subscriber } from '../journal/event-stream.js'
import { LiveView } from './live.js'
import { PlainView } from './plain.js'

/** The live view for a terminal that can be painted over, the plain one for everything else; both on stderr. */
export function openView(nowUs: () => number): { readonly take: Subscriber; stop(): void } {
  const { stderr } = process
  const paints = stderr.isTTY && process.env['TERM'] !== 'dumb' && !process.env['CI']
  return paints
    ? new LiveView(stderr, nowUs, wantsColour(stderr))
    : new PlainView((text) => void stderr.write(text), nowUs)
}
