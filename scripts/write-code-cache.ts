/**
 * Writes the bytecode of the built bundle, with the functions that a start of the usual commands compiles. They are run
 * in a process of their own: `node --import tsx scripts/write-code-cache.ts`, called by the build.
 */
import { execa } from 'execa'
import { rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { codeCachePath, runBundle } from '../src/cli/bundle.js'

const PROFILE = 'profiles/quickstart.yaml'
/** What is run for it. A plan needs a helper; without one, it comes as far as that. */
const USUAL = [['--help'], ['migrate', '--help'], ['validate', PROFILE], ['plan', PROFILE]]

export async function writeCodeCache(root: string): Promise<void> {
  await execa(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), root], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'ignore',
  })
}

async function warmUp(root: string): Promise<void> {
  const { bundle, script } = runBundle(root)
  for (const words of USUAL) await bundle.start({ words, root, fromSource: false })
  const path = codeCachePath(root)
  await writeFile(`${path}.part`, script.createCachedData())
  await rename(`${path}.part`, path)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await warmUp(process.argv[2] ?? '')
  process.exit(0)
}
