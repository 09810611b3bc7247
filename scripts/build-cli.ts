/** Builds the CLI: dist/ by tsc, then oclif.manifest.json, with which `ferry --help` loads no command file. */
import { execa } from 'execa'
import { chmod, readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { requireTools } from './prerequisites.js'
import { writeManifest } from './write-manifest.js'

const root = fileURLToPath(new URL('..', import.meta.url))

await requireTools('node')
// A file left from an earlier build would still be found as a command.
await rm(`${root}dist`, { recursive: true, force: true })
const tsc = await execa('tsc', ['-p', 'tsconfig.build.json'], {
  cwd: root,
  preferLocal: true,
  localDir: root,
  reject: false,
  all: true,
})
if (tsc.failed) {
  process.stderr.write(`${tsc.all || tsc.shortMessage}\n`)
  process.exit(1)
}
const { bin } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { bin: { ferry: string } }
await chmod(`${root}${bin.ferry}`, 0o755)
await writeManifest(root)
