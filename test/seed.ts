/**
 * Property tests run with a fresh seed each time; a failing one prints its seed. To replay:
 *
 *     FERRY_TEST_SEED=123456 npx vitest run test/profile
 */
import { configureGlobal, type RunDetails } from 'fast-check'

const fixed = process.env['FERRY_TEST_SEED']

configureGlobal({
  ...(fixed !== undefined && { seed: Number(fixed) }),
  // fast-check's own report names seed and path, but not how to use them here.
  reporter(details: RunDetails<unknown>) {
    if (!details.failed) return
    const cause = details.errorInstance
    throw new Error(
      [
        `property failed after ${details.numRuns} runs and ${details.numShrinks} shrinks`,
        `replay with: FERRY_TEST_SEED=${details.seed}   (path ${details.counterexamplePath ?? 'none'})`,
        `counterexample: ${shown(details.counterexample)}`,
        `cause: ${cause instanceof Error ? cause.message : String(cause)}`,
      ].join('\n'),
      { cause },
    )
  },
})

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_key, entry: unknown) =>
    typeof entry === 'bigint' ? `${entry}n` : entry instanceof Uint8Array ? [...entry] : entry,
  )
  return text ?? String(value)
}
