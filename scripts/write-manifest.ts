import { Plugin, settings } from '@oclif/core'
import { writeFile } from 'node:fs/promises'

/** Writes oclif.manifest.json from the built commands in dist/. */
export async function writeManifest(root: string): Promise<void> {
  settings.enableAutoTranspile = false
  const plugin = new Plugin({
    root,
    type: 'core',
    isRoot: true,
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  } as ConstructorParameters<typeof Plugin>[0])
  await plugin.load()
  await writeFile(`${root}oclif.manifest.json`, `${JSON.stringify(plugin.manifest, null, 2)}\n`)
}
