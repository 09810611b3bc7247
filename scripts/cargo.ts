/**
 * How the helper is built, by everybody who builds it, so that nothing is built twice: optimised, and linked statically,
 * because ferry copies the one file to hosts that have none. crt-static needs `--target`: without it the flag would
 * reach procedural macros, which are shared libraries.
 */
import { execa } from 'execa'
import { copyFile, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const HELPER_CRATE = fileURLToPath(new URL('../helper', import.meta.url))

export interface Release {
  /** Follow the subcommand: `cargo build …args`. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where cargo leaves programs. */
  readonly folder: string
}

let known: Promise<Release> | undefined

/** The same for build, test and run. */
export function release(): Promise<Release> {
  known ??= (async () => {
    const { stdout } = await execa('rustc', ['-vV'])
    const triple = /^host: (?<triple>\S+)$/mu.exec(stdout)?.groups?.['triple']
    if (triple === undefined) throw new Error('rustc -vV names no host')
    return {
      // The target folder is named, because ferry looks for the helper there whatever CARGO_TARGET_DIR says.
      args: ['--release', '--locked', '--target-dir', 'target', '--target', triple],
      env: { RUSTFLAGS: `${process.env['RUSTFLAGS'] ?? ''} -C target-feature=+crt-static`.trim() },
      folder: join(HELPER_CRATE, 'target', triple, 'release'),
    }
  })()
  return known
}

/** Arguments that leave the simulator out, as a helper for production does. */
export const PRODUCTION = ['--no-default-features'] as const

/**
 * Puts a program in `helper/target/KIND`, whole or not at all: `release` is where a build without `--target` would have
 * it, and `production` the one without the simulator.
 */
export async function publish(name: string, kind: 'release' | 'production' = 'release'): Promise<void> {
  const { folder } = await release()
  const to = join(HELPER_CRATE, 'target', kind, name)
  await mkdir(dirname(to), { recursive: true })
  await copyFile(join(folder, name), `${to}.part`)
  await rename(`${to}.part`, to)
}
