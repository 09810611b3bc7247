import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that wait for most of a minute: begun last, they would be all that is left to wait for. */
const LONG = [
  /\/two-hosts\//u,
  /\/faults\/faults/u,
  /\/e2e\/(?:scripted-cutover|resident)/u,
  /\/commands\/steer/u,
  /\/profile\/fuzz/u,
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const long = ({ moduleId }: TestSpecification): boolean => LONG.some((pattern) => pattern.test(moduleId))
    return [...sorted.filter(long), ...sorted.filter((file) => !long(file))]
  }
}

/** `npx vitest run`: everything that needs no guest. The lab has a configuration of its own. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/lab/**', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    // Files share what they import: a quarter of the time went there. What a test changes in its process, it restores.
    isolate: false,
    // Most of the time tests wait for a process, a host or a deadline: five workers keep two processors busy.
    maxWorkers: Math.ceil(availableParallelism() * 2.5),
    sequence: { sequencer: LongestFirst },
    // Commands print; what they print is captured by the tests that care.
    disableConsoleIntercept: true,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/seed.ts', 'test/after-file.ts'],
  },
})
