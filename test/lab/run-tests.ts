// `npm run test:lab [-- VITEST ARGUMENTS]`: prepares the lab where its progress can be seen, then runs every
// *.lab.ts under vitest. Builds what the tests test, and the tools they use. Ends with the same plain line as
// `npm test`.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { countVitest } from '../../scripts/tally.js'
import { prepareLab } from './setup.js'
import { HELPER_CRATE, publish, release } from '../../scripts/cargo.js'

async function main(args: readonly string[]): Promise<number> {
  const { repo } = await prepareLab()
  await build(repo)
  const folder = await mkdtemp(path.join(tmpdir(), 'ferry-lab-tests-'))
  const report = path.join(folder, 'vitest.json')
  try {
    const config = path.join(repo, 'test/lab/vitest.config.ts')
    const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`]
    const { failed } = await execa('vitest', ['run', '--config', config, ...reporters, ...args], {
      cwd: repo,
      preferLocal: true,
      localDir: repo,
      stdio: 'inherit',
      reject: false,
    })
    const tally = countVitest(JSON.parse(await readFile(report, 'utf8')) as Parameters<typeof countVitest>[0])
    // A runner that failed without naming a test, or that ran none, is a failure of its own.
    const unnamed = tally.failed === 0 && (failed || tally.passed === 0) ? 1 : 0
    console.log(`${String(tally.passed)} passed, ${String(tally.failed + unnamed)} failed`)
    return tally.failed + unnamed > 0 ? 1 : 0
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Before the guest boots: it may or may not see what changes on the host after that. */
async function build(repo: string): Promise<void> {
  const examples = ['mtty-regs', 'dma-regs', 'dma-check']
  const tools = examples.flatMap((name) => ['--example', name])
  const { args, env } = await release()
  await execa(process.execPath, ['--import', 'tsx', 'scripts/build-cli.ts'], { cwd: repo, stdio: 'inherit' })
  await execa(process.execPath, ['--import', 'tsx', 'scripts/build-helper.ts'], {
    cwd: repo,
    stdio: 'inherit',
  })
  await execa('cargo', ['build', '--quiet', ...args, ...tools], { cwd: HELPER_CRATE, env, stdio: 'inherit' })
  for (const name of examples) await publish(`examples/${name}`)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`lab: error: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
