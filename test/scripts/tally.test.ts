import { describe, expect, it } from 'vitest'
import { nodeVersionProblem } from '../../src/cli/node-version.js'
import { missingForRust } from '../../scripts/prerequisites.js'
import { countCargo, countVitest } from '../../scripts/tally.js'

describe('counting', () => {
  it('adds up cargo’s test binaries', () => {
    const output = [
      'running 3 tests',
      'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
      'test x ... FAILED',
      'test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s',
    ].join('\n')
    expect(countCargo(output)).toEqual({ passed: 13, failed: 2 })
    expect(countCargo('error: could not compile')).toEqual({ passed: 0, failed: 0 })
  })

  it('counts a vitest file that did not load as a failure', () => {
    const report = {
      numPassedTests: 5,
      numFailedTests: 1,
      testResults: [
        { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
        { status: 'failed', assertionResults: [] },
        { status: 'passed', assertionResults: [{ status: 'passed' }] },
      ],
    }
    expect(countVitest(report)).toEqual({ passed: 5, failed: 2 })
  })
})

describe('prerequisites', () => {
  const tools = (versions: Record<string, string>) => (tool: string) => Promise.resolve(versions[tool])
  const good = { cargo: 'cargo 1.85.0 (d73d2caf9)', rustc: 'rustc 1.95.0', cc: 'cc (Debian) 12.2.0' }

  it('are met by Rust 1.85 and a C compiler', async () => {
    expect(await missingForRust(tools(good))).toEqual([])
    expect(await missingForRust(tools({ ...good, rustc: 'rustc 2.0.0' }))).toEqual([])
  })

  it('name all that is missing, each with its remedy', async () => {
    const missing = await missingForRust(tools({ cargo: 'cargo 1.63.0' }))
    expect(missing.map(({ what }) => what)).toEqual([
      'cargo is 1.63, the helper needs 1.85 or newer',
      '`rustc` was not found on PATH',
      'no C compiler (`cc`) was found on PATH',
    ])
    expect(missing.map(({ remedy }) => remedy)).toEqual([
      expect.stringContaining('rustup update stable'),
      expect.stringContaining('rustup.rs'),
      'apt install build-essential',
    ])
  })

  it('ask for Node 20.19', () => {
    for (const version of ['20.19.0', '20.20.2', '22.0.0'])
      expect(nodeVersionProblem(version)).toBe(undefined)
    for (const version of ['18.20.4', '20.18.3', '20.9.0'])
      expect(nodeVersionProblem(version)).toContain('Node 20.19')
  })
})
