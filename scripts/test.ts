/**
 * `npm test`: everything that needs no guest. Builds and static checks first, then the tests of both languages;
 * whatever fails, the rest still runs. Ends with one plain line, `N passed, N failed`, which counts the Rust tests
 * too, and each failed check or build as one failed test.
 */
import { execa, type ExecaError } from 'execa'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HELPER_CRATE, PRODUCTION, release } from './cargo.js'
import { requireTools } from './prerequisites.js'
import { countCargo, countVitest, type Tally } from './tally.js'

const root = fileURLToPath(new URL('..', import.meta.url))
await requireTools('node', 'rust', 'rust-lints')
const helper = HELPER_CRATE
const { args: RELEASE, env: RELEASE_ENV } = await release()
const CARGO_TEST = ['test', ...RELEASE] as const
/** What a helper without the simulator says of it; the other tests hold for both. */
const CARGO_PRODUCTION = [
  ...CARGO_TEST,
  ...PRODUCTION,
  // Nothing else is built of it, and nothing it says depends on how fast it is.
  ...['--config', 'profile.release.package.ferry-helper.opt-level=0'],
  ...['--test', 'production'],
] as const
/** As the tests are built, so that what C code the dependencies have is compiled once. */
const CLIPPY = ['clippy', ...RELEASE, '--all-targets', '--quiet'] as const
/** What runs for as long has no end: it is stopped, counts as failed, and what it has said so far names the test. */
const ENDLESS_MS = 20 * 60_000
const NONE: Tally = { passed: 0, failed: 0 }

interface Part {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** What the tests start. */
const BUILD_FERRY: Part = {
  name: 'build (ferry)',
  command: ['node', '--import', 'tsx', 'scripts/build-cli.ts'],
}
const BUILD_HELPER: Part = {
  name: 'build (ferry-helper)',
  command: ['node', '--import', 'tsx', 'scripts/build-helper.ts'],
}
const BUILD_TESTS: readonly Part[] = [
  {
    name: 'build (Rust tests, production)',
    command: ['cargo', ...CARGO_PRODUCTION, '--no-run'],
    cwd: helper,
    env: RELEASE_ENV,
  },
  {
    name: 'build (Rust tests)',
    command: ['cargo', ...CARGO_TEST, '--no-run'],
    cwd: helper,
    env: RELEASE_ENV,
  },
]
const CHECK_TYPESCRIPT: readonly Part[] = [
  { name: 'format (prettier)', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  {
    name: 'types and lint (tsc, eslint)',
    command: ['node', '--import', 'tsx', 'scripts/check-typescript.ts'],
  },
]
const CHECK_RUST: readonly Part[] = [
  { name: 'format (rustfmt)', command: ['cargo', 'fmt', '--all', '--check'], cwd: helper },
  {
    name: 'lint (clippy)',
    command: ['cargo', ...CLIPPY, '--', '-D', 'warnings'],
    cwd: helper,
    env: RELEASE_ENV,
  },
  {
    name: 'lint (clippy, production)',
    command: ['cargo', ...CLIPPY, '-p', 'ferry-helper', ...PRODUCTION, '--', '-D', 'warnings'],
    cwd: helper,
    env: RELEASE_ENV,
  },
]

await provision()

// Tests mostly wait, and checks and compilers only compute. So everything is built first, with all processors; then the
// tests of both languages wait side by side, and the checks have what these leave of the processors.
const typescript = politely(CHECK_TYPESCRIPT)
const built = await inTurn([BUILD_FERRY, BUILD_HELPER, ...BUILD_TESTS])
const checks = Promise.all([typescript, politely(CHECK_RUST)])
const tallies = [built, ...(await Promise.all([vitest(), cargoTests()])), ...(await checks)]
const total = tallies.reduce(add, NONE)

console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

/** Root can make network namespaces and reach an sshd in them; the tests of two hosts are left out otherwise. */
async function provision(): Promise<void> {
  if (process.getuid?.() !== 0) return
  await execa(join(root, 'test/two-hosts/provision.sh'), {
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
  })
}

/** At a low priority, chosen so that they end about when the tests do. */
function politely(parts: readonly Part[]): Promise<Tally> {
  return inTurn(parts.map((part) => ({ ...part, command: ['nice', '-n', '7', ...part.command] })))
}

async function inTurn(parts: readonly Part[]): Promise<Tally> {
  let tally = NONE
  for (const part of parts) tally = add(tally, await check(part))
  return tally
}

/** Quiet when it succeeds; a failure shows all of its output and counts as one failed test. */
async function check({ name, command: [program, ...args], cwd = root, env = {} }: Part): Promise<Tally> {
  const started = performance.now()
  const result = await execa(program, args, {
    cwd,
    env,
    preferLocal: true,
    localDir: root,
    reject: false,
    all: true,
  })
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`
  console.log(`${result.failed ? 'FAIL' : 'ok  '} ${name}, ${took}`)
  if (!result.failed) return NONE
  console.log(result.all || (result as unknown as ExecaError).shortMessage)
  return { passed: 0, failed: 1 }
}

async function vitest(): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), 'ferry-test-'))
  const report = join(folder, 'vitest.json')
  try {
    const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const { failed } = await execa('vitest', args, {
      cwd: root,
      preferLocal: true,
      localDir: root,
      reject: false,
      stdio: 'inherit',
      timeout: ENDLESS_MS,
    })
    const text = await readFile(report, 'utf8').catch(() => undefined)
    return orFailure(text === undefined ? NONE : countVitest(JSON.parse(text)), failed, 'vitest')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One after the other: both leave their program in the same place, and the tests start the one that is there. */
async function cargoTests(): Promise<Tally> {
  return add(await cargoTest(CARGO_PRODUCTION), await cargoTest(CARGO_TEST))
}

/** Its output is kept until it ends, so that it does not run into vitest's. */
async function cargoTest(command: readonly string[]): Promise<Tally> {
  const { all, failed, stdout } = await execa('cargo', [...command, '--no-fail-fast'], {
    cwd: helper,
    env: RELEASE_ENV,
    reject: false,
    stdin: 'ignore',
    all: true,
    timeout: ENDLESS_MS,
  })
  console.log(all)
  return orFailure(countCargo(stdout), failed, 'cargo test')
}

/** A runner that failed without naming a test, or that ran none, is a failure of its own. */
function orFailure(tally: Tally, failed: boolean, runner: string): Tally {
  if (tally.failed > 0) return tally
  if (!failed && tally.passed > 0) return tally
  console.log(`FAIL ${runner}: ${failed ? 'it failed without naming a test' : 'no test was run'}`)
  return add(tally, { passed: 0, failed: 1 })
}

function add(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed }
}
