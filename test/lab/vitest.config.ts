import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that share a guest follow each other (shared-guest.ts): those with the DMA devices come last. */
class ByGuest extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number =>
      readFileSync(moduleId, 'utf8').includes('shareGuest(DMA,') ? 1 : 0
    return Promise.resolve(
      files.toSorted((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId)),
    )
  }
}

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/**/*.lab.ts'],
    // One worker for all files: it keeps the guest from one to the next.
    fileParallelism: false,
    isolate: false,
    sequence: { sequencer: ByGuest },
    // Of tests that say so, in one guest.
    maxConcurrency: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    disableConsoleIntercept: true,
  },
})
