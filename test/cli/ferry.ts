import { execa } from 'execa'
import { fileURLToPath } from 'node:url'
import type { Envelope } from '../../src/cli/base-command.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number | undefined
}

export interface RunOptions {
  readonly env?: Record<string, string>
  readonly input?: string
}

/** Runs `ferry` from the sources as a process of its own. */
export async function ferry(
  args: readonly string[],
  { env = {}, input = '' }: RunOptions = {},
): Promise<Ran> {
  const { stdout, stderr, exitCode } = await execa('node', ['--import', 'tsx', 'src/cli/cli.ts', ...args], {
    cwd: root,
    env,
    input,
    reject: false,
  })
  return { stdout, stderr, exit: exitCode }
}

/** The same with --json; fails unless stdout is one envelope and nothing else. */
export async function ferryJson(args: readonly string[], options: RunOptions = {}): Promise<Envelope & Ran> {
  const ran = await ferry([...args, '--json'], options)
  return { ...(JSON.parse(ran.stdout) as Envelope), ...ran, exit: ran.exit as Envelope['exit'] }
}
