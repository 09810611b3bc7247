const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * The first signal asks for a cancel, the second detaches; further ones are ignored. Returns a function that gives
 * the signals back their own effect.
 */
export function onSignals(first: () => void, second: () => void): () => void {
  let count = 0
  const handler = (): void => {
    count++
    if (count === 1) first()
    else if (count === 2) second()
  }
  for (const signal of SIGNALS) process.on(signal, handler)
  return () => {
    for (const signal of SIGNALS) process.off(signal, handler)
  }
}
