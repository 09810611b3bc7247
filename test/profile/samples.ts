import { FerryError, type Diagnostic } from '../../src/errors.js'
import { parseProfile } from '../../src/profile/parse.js'
import type { Profile } from '../../src/profile/profile.js'

/** A small valid profile; one line for each part, so that tests can replace one. */
export const VALID = `version: 1
name: vm
source: { host: local }
destination: { host: local, listen: 127.0.0.1:0 }
memory:
  - { name: ram, iova: 0x0, size: 512MiB, backing: memfd }
devices:
  - name: vgpu
    source: { mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }
    destination: { mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }
`

export const SIM = '{ model: mdev, state: 64KiB, window: { iova: 0, size: 1MiB }, writes: 1MiB/s }'

/** VALID with the first occurrence of `from` replaced. */
export function changed(from: string, to: string, text = VALID): string {
  if (!text.includes(from)) throw new Error(`the sample has no ${JSON.stringify(from)}`)
  return text.replace(from, () => to)
}

export function parse(text: string, env: Record<string, string> = {}, sets: readonly string[] = []): Profile {
  return parseProfile(text, { file: 'vm.yaml', env, sets })
}

/** The error a bad profile gives; fails when it is accepted. */
export function refusal(
  text: string,
  env: Record<string, string> = {},
  sets: readonly string[] = [],
): FerryError {
  try {
    parse(text, env, sets)
  } catch (error) {
    if (error instanceof FerryError) return error
    throw error
  }
  throw new Error('the profile was accepted')
}

export function diagnose(
  text: string,
  env: Record<string, string> = {},
  sets: readonly string[] = [],
): readonly Diagnostic[] {
  return refusal(text, env, sets).diagnostics
}

/** The text a diagnostic points at, in the profile or in the `--set` it came from. */
export function marked(text: string, { file, line, column, endColumn }: Diagnostic, set = ''): string {
  const source = file === '--set' ? set : text
  return (source.split('\n')[line - 1] ?? '').slice(column - 1, endColumn - 1)
}
