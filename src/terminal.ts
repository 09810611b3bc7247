/** What the terminal that a stream leads to can show. */

/** Colour only for a terminal that did not ask to be spared (https://no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

/** Asks the person at the terminal, if there is one, to type the token of what only a person can decide. */
export async function typedToken(token: string, effect: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(
      `${effect}.\nType ${token} to decide so, anything else to leave it: `,
    )
    return answer.trim().toLowerCase() === token
  } finally {
    terminal.close()
  }
}
