#!/usr/bin/env node
/**
 * The entry of `ferry`, and the only file that knows dist from source: `node dist/src/cli/cli.js` runs the built commands
 * through oclif.manifest.json, `node --import tsx src/cli/cli.ts` runs commands/*.ts.
 */
import * as nodeModule from 'node:module'
import { fileURLToPath } from 'node:url'
import { nodeVersionProblem } from './node-version.js'

const tooOld = nodeVersionProblem(process.versions.node)
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`)
  process.exit(1)
}

// Free start-up time on Node 22 and newer.
;(nodeModule as { enableCompileCache?: () => unknown }).enableCompileCache?.()

const fromSource = import.meta.url.endsWith('.ts')
const root = fileURLToPath(new URL(fromSource ? '../..' : '../../..', import.meta.url))
const words = process.argv.slice(2)
// Loaded now and not with this file, so that an old Node hears about itself first.
if (words[0] === '__complete' && !fromSource) {
  // A shell asks at every Tab: oclif is not loaded for it.
  const [{ printCompletions }, { readManifest }] = await Promise.all([
    import('./complete.js'),
    import('./manifest.js'),
  ])
  printCompletions(words.slice(1), readManifest(root))
} else if (
  !fromSource &&
  (words.length === 0 || (words.length === 1 && /^(?:--help|-h|help)$/u.test(words[0] ?? '')))
) {
  // The first thing anybody types: the same text that oclif would show, without loading it.
  const { printRootHelp } = await import('./print-root-help.js')
  printRootHelp(root)
} else {
  const { main } = await import('./main.js')
  await main({ words, root, fromSource })
}
// Explicit, so that nothing left open (a pipe to a helper, a timer) can keep a finished command alive.
process.exit()
