/** Runs a command through oclif: the built ones by their manifest, or those of commands/ from the sources. */
import { flush, Plugin, run, settings } from '@oclif/core'
import { readFileSync } from 'node:fs'
import { type Manifest, readManifest } from './manifest.js'
import { route, unknownCommand } from './route.js'

export interface Start {
  readonly words: readonly string[]
  /** The package's folder, with a slash at its end. */
  readonly root: string
  readonly fromSource: boolean
}

/** Sets the exit code. */
export async function main({ fromSource, root, words }: Start): Promise<void> {
  const pjson = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  // oclif's mapping from dist to source does not fit a rootDir of "."; we point it at the right files ourselves.
  settings.enableAutoTranspile = false
  let manifest: Manifest
  let plugins: Map<string, InstanceType<typeof Plugin>> | undefined
  if (fromSource) {
    pjson.oclif.commands = './commands'
    pjson.oclif.helpClass = './src/cli/help.ts'
    // oclif 4 does not hand loadOptions.ignoreManifest to the root plugin, and a manifest left from a build would send
    // a source run into dist/: so it gets a plugin that does not read the manifest.
    const plugin = new Plugin({ ignoreManifest: true, isRoot: true, pjson, root } as never)
    await plugin.load()
    plugins = new Map([[plugin.name, plugin]])
    manifest = plugin.manifest as Manifest
  } else manifest = readManifest(root)
  if (words[0] === '__complete') {
    const { printCompletions } = await import('./complete.js')
    return printCompletions(words.slice(1), manifest)
  }
  const commands = Object.keys(manifest.commands)
  const { argv, unknown } = route(words, commands)
  try {
    if (unknown !== undefined) throw unknownCommand(unknown, commands)
    await run([...argv], {
      devPlugins: false,
      jitPlugins: false,
      userPlugins: false,
      pjson,
      root,
      ...(plugins && { plugins: plugins as never }),
    })
    await flush()
  } catch (thrown) {
    const { reportFatal } = await import('./fatal.js')
    process.exitCode = reportFatal(thrown, argv)
  }
}
