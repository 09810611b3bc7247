/** Builds the CLI: dist/ by tsc, then oclif.manifest.json, with which `ferry --help` loads no command file. */
import { execa } from 'execa'
import { chmod, readFile, rename, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { requireTools } from './prerequisites.js'
import { writeManifest } from './write-manifest.js'

const root = fileURLToPath(new URL('..', import.meta.url))

await requireTools('node')
// Built beside and then put in place: a file left from an earlier build would still be found as a command, and a
// ferry that runs meanwhile must not find half a build.
const fresh = `${root}dist.${process.pid}`
const stale = `${fresh}.old`
try {
  const tsc = await execa('tsc', ['-p', 'tsconfig.build.json', '--outDir', fresh], {
    cwd: root,
    preferLocal: true,
    localDir: root,
    reject: false,
    all: true,
  })
  if (tsc.failed) {
    process.stderr.write(`${tsc.all || tsc.shortMessage}\n`)
    process.exitCode = 1
  } else {
    await rename(`${root}dist`, stale).catch(() => undefined)
    await rename(fresh, `${root}dist`)
    const { bin } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { bin: { ferry: string } }
    await chmod(`${root}${bin.ferry}`, 0o755)
    await writeManifest(root)
  }
} finally {
  await rm(fresh, { recursive: true, force: true })
  await rm(stale, { recursive: true, force: true })
}
