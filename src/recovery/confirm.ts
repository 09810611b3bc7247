/** What only a person can decide is confirmed by a token: with --token, or typed at the terminal if there is one. */

/** @param given what --token says. @param mayAsk whether a person may be asked: not with --json. */
export function confirmBy(
  given: string | undefined,
  mayAsk: boolean,
): (token: string, effect: string) => Promise<boolean> {
  return async (token, effect) => {
    const said = given ?? (mayAsk ? await typed(token, effect) : undefined)
    return said?.trim().toLowerCase() === token
  }
}

async function typed(token: string, effect: string): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await terminal.question(`${effect}.\nType ${token} to decide so, anything else to leave it: `)
  } finally {
    terminal.close()
  }
}
