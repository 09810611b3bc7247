/** `ferry` as an operator runs it: the built program, as a process of its own. */
import { execa } from 'execa'
import type { Envelope } from '../../src/cli/base-command.js'
import { CLI, ROOT } from './paths.js'

export interface FerryOptions {
  readonly cwd?: string
  /** Laid over the tests' own environment; undefined takes a variable out of it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Nothing of the tests' own environment. */
  readonly bare?: boolean
  readonly input?: string
  readonly inputFile?: string
  /** What starts it, in place of the shell: `ip netns exec NAME`. */
  readonly under?: readonly string[]
}

/** Starts it. The result is a process, and a promise of its end that is kept whatever its exit code. */
export function startFerry(
  args: readonly string[],
  { bare = false, cwd = ROOT, env = {}, input, inputFile, under = [] }: FerryOptions = {},
) {
  const [program = '', ...words] = [...under, process.execPath, CLI, ...args]
  return execa(program, words, {
    cwd,
    env,
    extendEnv: !bare,
    reject: false,
    ...(input !== undefined && { input }),
    ...(inputFile !== undefined && { inputFile }),
  })
}
export type Ferry = ReturnType<typeof startFerry>

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number | undefined
}

/** Runs it to its end, with nothing on stdin unless given. */
export async function ferry(args: readonly string[], options: FerryOptions = {}): Promise<Ran> {
  const { exitCode, stderr, stdout } = await startFerry(args, { input: '', ...options })
  return { stdout, stderr, exit: exitCode }
}

/** The same with --json; fails unless stdout is one envelope and nothing else. */
export async function ferryJson(
  args: readonly string[],
  options: FerryOptions = {},
): Promise<Envelope & Ran> {
  const ran = await ferry([...args, '--json'], options)
  return { ...(JSON.parse(ran.stdout) as Envelope), ...ran, exit: ran.exit as Envelope['exit'] }
}
