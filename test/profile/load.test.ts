import { execa } from 'execa'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import { loadProfile, MAX_PROFILE_BYTES } from '../../src/profile/load.js'
import { changed, VALID } from './samples.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferry-profile-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

async function refusal(path: string): Promise<FerryError> {
  const error: unknown = await loadProfile(path, { env: {} }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FerryError)) throw new Error(`expected a FerryError, got ${String(error)}`)
  return error
}

describe('loading', () => {
  it('reads a file and remembers its path', async () => {
    const path = await file('vm.yaml', VALID)
    expect(await loadProfile(path, { env: {} })).toMatchObject({ name: 'vm', file: path })
  })

  it('takes variables and overrides', async () => {
    const path = await file('vars.yaml', changed('name: vm', 'name: ${NAME}'))
    const profile = await loadProfile(path, { env: { NAME: 'given' }, sets: ['migration.verify=full'] })
    expect(profile).toMatchObject({ name: 'given', migration: { verify: 'full' } })
  })

  it('reads a byte order mark and Windows line ends', async () => {
    const path = await file('windows.yaml', `\ufeff${VALID.replaceAll('\n', '\r\n')}`)
    expect((await loadProfile(path, { env: {} })).name).toBe('vm')
  })

  it('names positions in files with Windows line ends right', async () => {
    const path = await file('windows-bad.yaml', changed('name: vm', 'name: /').replaceAll('\n', '\r\n'))
    expect((await refusal(path)).diagnostics).toMatchObject([{ line: 2, column: 7, endColumn: 8 }])
  })

  it('refuses a file of 10 MB before parsing it', async () => {
    const error = await refusal(await file('big.yaml', Buffer.alloc(10_000_000, 'a: 1\n')))
    expect(error).toMatchObject({ code: 'profile/too-large', exit: EXIT.usage })
  })

  it('draws the line at 1 MiB', async () => {
    const comment = (bytes: number): string => `${VALID}#${'x'.repeat(bytes - VALID.length - 1)}`
    expect((await loadProfile(await file('just.yaml', comment(MAX_PROFILE_BYTES)), { env: {} })).name).toBe(
      'vm',
    )
    const over = await file('over.yaml', comment(MAX_PROFILE_BYTES + 1))
    expect((await refusal(over)).code).toBe('profile/too-large')
  })

  it('stops reading an endless file', async () => {
    expect((await refusal('/dev/zero')).code).toBe('profile/too-large')
  })

  it('refuses what is not UTF-8', async () => {
    const error = await refusal(await file('latin1.yaml', Buffer.from('name: caf\xe9\n', 'latin1')))
    expect(error).toMatchObject({ code: 'profile/encoding', exit: EXIT.usage })
  })

  it.each([
    ['a file that is not there', 'none.yaml', 'ENOENT'],
    ['a folder', '.', 'EISDIR'],
  ])('refuses %s', async (_what, name, errnoName) => {
    const error = await refusal(join(folder, name))
    expect(error).toMatchObject({ code: 'profile/unreadable', exit: EXIT.usage, errnoName })
    expect(error.suggestions).not.toEqual([])
  })

  it('reads stdin for -', async () => {
    const code = `import('./src/profile/load.js').then(({ loadProfile }) => loadProfile('-')).then(({ name, file }) => console.log(name, file))`
    const { stdout } = await execa('node', ['--import', 'tsx', '--input-type=module', '-e', code], {
      input: VALID,
    })
    expect(stdout).toBe('vm -')
  })
})
