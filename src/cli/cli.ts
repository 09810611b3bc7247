#!/usr/bin/env node
/**
 * The entry of `ferry`, and the only file that knows dist from source: `node dist/src/cli/cli.js` runs the bundle of
 * the build, `node --import tsx src/cli/cli.ts` the sources.
 */
import { fileURLToPath } from 'node:url'
import { loadBundle } from './bundle.js'
import { nodeVersionProblem } from './node-version.js'

const tooOld = nodeVersionProblem(process.versions.node)
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`)
  process.exit(1)
}

const fromSource = import.meta.url.endsWith('.ts')
const root = fileURLToPath(new URL(fromSource ? '../..' : '../../..', import.meta.url))
// Loaded now and not with this file, so that an old Node hears about itself first.
const { start } = fromSource ? await import('./start.js') : loadBundle(root)
await start({ words: process.argv.slice(2), root, fromSource })
// Explicit, so that nothing left open (a pipe to a helper, a timer) can keep a finished command alive.
process.exit()
