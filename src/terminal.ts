/** What the terminal that a stream leads to can show. */

/** Colour only for a terminal that did not ask to be spared (https://no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}
