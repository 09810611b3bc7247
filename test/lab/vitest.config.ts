import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/**/*.lab.ts'],
    // A guest wants the whole machine; two at once are slower than one after the other.
    fileParallelism: false,
    // Of tests that say so, in one guest.
    maxConcurrency: 2,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    disableConsoleIntercept: true,
  },
})
