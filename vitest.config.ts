import { defineConfig } from 'vitest/config'

/** `npx vitest run`: everything that needs no guest. The lab has a configuration of its own. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/lab/**', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    // Commands print; what they print is captured by the tests that care.
    disableConsoleIntercept: true,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    setupFiles: ['test/seed.ts'],
  },
})
