/** The built `ferry` within this process: for what it prints without asking anybody, which needs no process of its own. */
import { runCommand } from '@oclif/test'
import { ROOT } from './paths.js'
import type { Ran } from './ferry.js'

/** Runs `ferry --help`, `ferry COMMAND --help` and the like, through the manifest, commands and help that are built. */
export async function ferryHere(args: readonly string[]): Promise<Ran> {
  const { error, stderr, stdout } = await runCommand([...args], { root: ROOT }, { stripAnsi: false })
  return {
    stdout: stdout.replace(/\n$/u, ''),
    stderr: stderr.replace(/\n$/u, ''),
    exit: error?.oclif?.exit ?? 0,
  }
}
