/** oclif.manifest.json, as far as ferry itself reads it. The build writes it from the commands. */
import { readFileSync } from 'node:fs'

export interface ManifestFlag {
  readonly name: string
  readonly char?: string
  readonly type: 'boolean' | 'option'
  readonly summary?: string
  readonly options?: readonly string[]
  readonly helpValue?: string
  readonly helpGroup?: string
  readonly allowNo?: boolean
  readonly multiple?: boolean
  readonly hidden?: boolean
  readonly env?: string
}

export interface ManifestArg {
  readonly name: string
  readonly description?: string
  readonly required?: boolean
  readonly options?: readonly string[]
  readonly multiple?: boolean
}

export interface ManifestCommand {
  readonly id: string
  readonly summary?: string
  readonly description?: string
  readonly hidden?: boolean
  readonly args: Readonly<Record<string, ManifestArg>>
  readonly flags: Readonly<Record<string, ManifestFlag>>
  readonly examples?: readonly (string | { readonly description?: string; readonly command: string })[]
  readonly exitCodes?: readonly number[]
}

export interface Manifest {
  readonly commands: Readonly<Record<string, ManifestCommand>>
}

/** Without the file nothing was built, and there is no command to run. */
export function readManifest(root: string): Manifest {
  try {
    return JSON.parse(readFileSync(`${root}oclif.manifest.json`, 'utf8')) as Manifest
  } catch {
    return { commands: {} }
  }
}
