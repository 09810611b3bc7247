/** The fake helper as a process, for tests. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HelperClient, type ClientOptions } from '../../src/link/client.js'
import { startProcess } from '../../src/host/process.js'
import { temporaryFolder } from './temporary-folder.js'

export const FAKE_HELPER = fileURLToPath(new URL('./fake-helper.mjs', import.meta.url))

/** What the head of fake-helper.mjs describes. */
export interface FakeAction {
  readonly ok?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly [more: string]: unknown }
  readonly raw?: string
  readonly rawBytes?: number
  readonly exit?: number
  readonly hold?: boolean
  readonly silent?: boolean
  readonly delayMs?: number
  readonly events?: readonly unknown[]
}
export interface FakeScript {
  readonly log?: string
  readonly requests?: string
  readonly link?: string
  readonly replies?: Readonly<Record<string, readonly FakeAction[]>>
  readonly forecasts?: readonly number[]
}

/** Writes a program that runs the fake helper with this script, and returns its path. */
export function fakeHelper(folder: string, name: string, script: FakeScript): string {
  const scriptFile = join(folder, `${name}.json`)
  const program = join(folder, name)
  writeFileSync(scriptFile, JSON.stringify(script))
  writeFileSync(
    program,
    `#!/bin/sh\nexec '${process.execPath}' '${FAKE_HELPER}' "$@" --script '${scriptFile}'\n`,
    { mode: 0o755 },
  )
  return program
}

export function fakeClient(script: FakeScript, options: Partial<ClientOptions> = {}): HelperClient {
  const program = fakeHelper(temporaryFolder(), 'ferry-helper', script)
  return new HelperClient(startProcess(program, ['--serve'], 'the fake helper'), {
    side: 'source',
    ...options,
  })
}
