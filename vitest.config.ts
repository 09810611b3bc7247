import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** `npx vitest run`: everything that needs no guest. The lab has a configuration of its own. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/lab/**', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    // Most tests wait for a process they started; one worker a core less than there are would leave them idle.
    maxWorkers: Math.max(2, availableParallelism()),
    // Commands print; what they print is captured by the tests that care.
    disableConsoleIntercept: true,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/seed.ts'],
  },
})
