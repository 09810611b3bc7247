/** How many tests passed and failed, from what the test runners report. */
export interface Tally {
  readonly passed: number
  readonly failed: number
}

/** vitest's JSON report. A file that failed to load has no failed test of its own and counts as one. */
export function countVitest(report: {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}): Tally {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  )
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length }
}

/** Each test binary's closing line: "test result: ok. 12 passed; 0 failed; 1 ignored; …". */
export function countCargo(output: string): Tally {
  let passed = 0
  let failed = 0
  for (const { groups } of output.matchAll(
    /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed;/gmu,
  )) {
    passed += Number(groups?.['passed'])
    failed += Number(groups?.['failed'])
  }
  return { passed, failed }
}
