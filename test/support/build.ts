/** vitest's global set-up: tests run the built `ferry`, so it is built when it is missing or older than what it is built from. */
import { execa } from 'execa'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CLI, ROOT } from './paths.js'

const SOURCES = ['src', 'commands', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json']

export default async function build(): Promise<void> {
  if (existsSync(CLI) && changedAt(CLI) >= Math.max(...SOURCES.map((name) => newest(join(ROOT, name)))))
    return
  console.log('building ferry, which is older than its sources')
  await execa(process.execPath, ['--import', 'tsx', join(ROOT, 'scripts', 'build-cli.ts')], {
    cwd: ROOT,
    stdout: 'inherit',
    stderr: 'inherit',
  })
}

/** When anything in it last changed: a file that is removed changes its folder. */
function newest(path: string): number {
  if (!statSync(path).isDirectory()) return changedAt(path)
  return Math.max(changedAt(path), ...readdirSync(path).map((name) => newest(join(path, name))))
}

function changedAt(path: string): number {
  return statSync(path).mtimeMs
}
