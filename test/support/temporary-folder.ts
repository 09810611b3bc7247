import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEachFile } from './ends.js'

const made: string[] = []
// Tests of a file may share a folder. A process may still write while it ends, hence the retries.
afterEachFile(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** A folder of its own, which is removed when the tests of the file have ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-test-'))
  made.push(folder)
  return folder
}
