/**
 * Loads dist/ferry.cjs, all of ferry in one file, with the bytecode that the build left beside it (dist/ferry.*.cache):
 * to parse and compile is half of a start otherwise.
 */
import { readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { dirname } from 'node:path'
import { Script } from 'node:vm'
import type { start } from './start.js'

export interface Bundle {
  readonly start: typeof start
}

/** Bytecode fits one build of Node on one architecture; V8 refuses any other, and compiles from the source then. */
export function codeCachePath(root: string): string {
  return `${root}dist/ferry.${process.version}-${process.platform}-${process.arch}.cache`
}

/** @param root The package's folder, with a slash at its end. */
export function loadBundle(root: string): Bundle {
  const cached = readOrUndefined(codeCachePath(root))
  if (cached !== undefined) return runBundle(root, cached).bundle
  // Another Node than the one that built it: from 22.1 on it keeps bytecode of its own.
  ;(nodeModule as { enableCompileCache?: () => unknown }).enableCompileCache?.()
  const filename = bundlePath(root)
  return nodeModule.createRequire(filename)(filename) as Bundle
}

/** As `require` would, but with the bytecode that is given. */
export function runBundle(root: string, cachedData?: Buffer): { script: Script; bundle: Bundle } {
  const filename = bundlePath(root)
  // The bundle is ASCII: read as bytes, it needs no decoding and half the memory.
  const source = readFileSync(filename, 'latin1')
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename,
    ...(cachedData && { cachedData }),
  })
  const require = nodeModule.createRequire(filename)
  const module = new nodeModule.Module(filename)
  // oclif finds commands and help by this file's path: it gets what is loaded here.
  require.cache[filename] = module
  script.runInThisContext()(module.exports, require, module, filename, dirname(filename))
  module.loaded = true
  return { script, bundle: module.exports as Bundle }
}

function bundlePath(root: string): string {
  return `${root}dist/ferry.cjs`
}

function readOrUndefined(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
