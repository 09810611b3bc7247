#!/usr/bin/env node
/**
 * The entry of `ferry`, and the only file that knows dist from source: `node dist/src/cli/cli.js` runs the built commands
 * through oclif.manifest.json, `node --import tsx src/cli/cli.ts` runs commands/*.ts.
 */
import { readFileSync } from 'node:fs'
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

const { flush, Plugin, run, settings } = await import('@oclif/core')

const fromSource = import.meta.url.endsWith('.ts')
const root = fileURLToPath(new URL(fromSource ? '../..' : '../../..', import.meta.url))
const pjson = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
// oclif's mapping from dist to source does not fit a rootDir of "."; we point it at the right files ourselves.
settings.enableAutoTranspile = false

let plugins: Map<string, InstanceType<typeof Plugin>> | undefined
if (fromSource) {
  pjson.oclif.commands = './commands'
  pjson.oclif.helpClass = './src/cli/help.ts'
  // oclif 4 does not hand loadOptions.ignoreManifest to the root plugin, and a manifest left from a build would send
  // a source run into dist/: so it gets a plugin that does not read the manifest.
  const plugin = new Plugin({ ignoreManifest: true, isRoot: true, pjson, root } as never)
  await plugin.load()
  plugins = new Map([[plugin.name, plugin]])
}

const argv = process.argv.slice(2)
// `ferry help plan` is `ferry plan --help`.
if (argv[0] === 'help') argv.splice(0, argv.length, ...argv.slice(1), '--help')

try {
  await run(argv, { pjson, root, ...(plugins && { plugins: plugins as never }) })
  await flush()
} catch (thrown) {
  const { reportFatal } = await import('./not-found.js')
  process.exitCode = reportFatal(thrown, argv, commandNames())
}
// Explicit, so that nothing left open (a pipe to a helper, a timer) can keep a finished command alive.
process.exit()

function commandNames(): string[] {
  const manifest = plugins?.get(pjson.name)?.manifest ?? readManifest()
  return Object.keys(manifest.commands).map((id) => id.replaceAll(':', ' '))
}

function readManifest(): { commands: Record<string, unknown> } {
  try {
    return JSON.parse(readFileSync(`${root}oclif.manifest.json`, 'utf8'))
  } catch {
    return { commands: {} }
  }
}
