import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What is built, and what the tests run. */
export const CLI = join(ROOT, 'dist', 'src', 'cli', 'cli.js')
export const HELPER = join(ROOT, 'helper', 'target', 'release', 'ferry-helper')
export const QUICKSTART = join(ROOT, 'profiles', 'quickstart.yaml')
