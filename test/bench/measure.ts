import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { HELPER_CRATE, release } from '../../scripts/cargo.js'

export const REPO = fileURLToPath(new URL('../..', import.meta.url))
export const FERRY = path.join(REPO, 'dist/src/cli/cli.js')

/** What one bench found. */
export interface BenchTable {
  readonly title: string
  readonly note: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** The same, unrounded, for machines. */
  readonly data: unknown
}

/** Middle value; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Runs one of the helper's example programs, built with optimisation, and reads the JSON it prints. */
export async function helperExample<T>(name: string, args: readonly string[] = []): Promise<T> {
  const { args: built, env } = await release()
  const { stdout } = await execa('cargo', ['run', '--quiet', ...built, '--example', name, '--', ...args], {
    cwd: HELPER_CRATE,
    env,
    stderr: 'inherit',
  })
  return JSON.parse(stdout) as T
}
