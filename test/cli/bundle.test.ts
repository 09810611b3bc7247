import { execa } from 'execa'
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'
import { codeCachePath } from '../../src/cli/bundle.js'
import { ROOT } from '../support/paths.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const root = join(ROOT, '/')

it('starts with the bytecode of the build, which V8 takes', async () => {
  const accepted = `
    import { readFileSync } from 'node:fs'
    import { codeCachePath, runBundle } from './src/cli/bundle.ts'
    const root = process.argv[1]
    process.stdout.write(String(runBundle(root, readFileSync(codeCachePath(root))).script.cachedDataRejected))`
  const { stdout } = await execa(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', accepted, root],
    {
      cwd: ROOT,
    },
  )
  expect(stdout).toBe('false')
})

it.each([
  ['damaged', async (path: string) => writeFile(path, (await readFile(path)).fill(0x55, 0, 64))],
  ['of another program', async (path: string) => writeFile(path, 'no bytecode')],
  ['empty', async (path: string) => writeFile(path, '')],
])('starts without it where it is %s', async (_, spoil) => {
  const folder = temporaryFolder()
  for (const name of ['dist', 'package.json', 'oclif.manifest.json', 'profiles'])
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  await spoil(join(folder, 'dist', basename(codeCachePath(root))))
  const { exitCode } = await execa(process.execPath, [
    join(folder, 'dist/src/cli/cli.js'),
    'validate',
    join(folder, 'profiles/quickstart.yaml'),
  ])
  expect(exitCode).toBe(0)
})
