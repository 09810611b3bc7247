/** Long enough for any wait here on a busy machine; a wait that takes longer has failed. */
const PATIENCE_MS = 25_000
const LOOK_EVERY_MS = 10

/** Resolves with what `look` finds. `what` says what was waited for when it does not come. */
export async function until<T>(
  what: string | (() => string),
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`never: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
