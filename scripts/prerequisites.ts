/** What building and testing need on this machine; a missing one is named with its remedy. */
import { execa } from 'execa'
import { nodeVersionProblem } from '../src/cli/node-version.js'

/** The helper's rust-version. */
const RUST = { major: 1, minor: 85 }

export interface Missing {
  readonly what: string
  readonly remedy: string
}

/** Ends the process with one message about everything that is missing. */
export async function requireTools(...groups: readonly ('node' | 'rust' | 'rust-lints')[]): Promise<void> {
  const problems: string[] = []
  if (groups.includes('node')) {
    const problem = nodeVersionProblem(process.versions.node)
    if (problem !== undefined) problems.push(problem)
  }
  if (groups.includes('rust')) {
    problems.push(...(await missingForRust()).map(shown))
  }
  // Without Rust itself there is no point in naming its components.
  if (groups.includes('rust-lints') && problems.length === 0) {
    problems.push(...(await missingRustLints()).map(shown))
  }
  if (problems.length === 0) return
  process.stderr.write(`${problems.join('\n')}\n`)
  process.exit(1)
}

/** Rust and a C compiler (the TLS crate compiles C and assembly). */
export async function missingForRust(run: typeof versionOf = versionOf): Promise<readonly Missing[]> {
  const rustup = 'install Rust with rustup: https://rustup.rs (then open a new shell, or: . ~/.cargo/env)'
  const missing: Missing[] = []
  for (const tool of ['cargo', 'rustc']) {
    const text = await run(tool)
    if (text === undefined) {
      missing.push({ what: `\`${tool}\` was not found on PATH`, remedy: rustup })
      continue
    }
    const { major, minor } = parseVersion(text)
    if (major < RUST.major || (major === RUST.major && minor < RUST.minor)) {
      missing.push({
        what: `${tool} is ${major}.${minor}, the helper needs ${RUST.major}.${RUST.minor} or newer`,
        remedy: 'rustup update stable (a distribution package is often too old; https://rustup.rs)',
      })
    }
  }
  if ((await run('cc')) === undefined) {
    missing.push({ what: 'no C compiler (`cc`) was found on PATH', remedy: 'apt install build-essential' })
  }
  return missing
}

/** rustfmt and clippy are components of their own, which a minimal toolchain lacks. */
async function missingRustLints(): Promise<readonly Missing[]> {
  const missing: Missing[] = []
  for (const [tool, component] of [
    ['cargo-fmt', 'rustfmt'],
    ['cargo-clippy', 'clippy'],
  ] as const) {
    if ((await versionOf(tool)) !== undefined) continue
    missing.push({ what: `\`${tool}\` was not found on PATH`, remedy: `rustup component add ${component}` })
  }
  return missing
}

function shown({ what, remedy }: Missing): string {
  return `error: ${what}\n  = help: ${remedy}`
}

function parseVersion(text: string): { major: number; minor: number } {
  const groups = /(?<major>\d+)\.(?<minor>\d+)/u.exec(text)?.groups
  return { major: Number(groups?.['major'] ?? 0), minor: Number(groups?.['minor'] ?? 0) }
}

/** First line of `tool --version`, or undefined when there is no such program. */
async function versionOf(tool: string): Promise<string | undefined> {
  const { failed, stdout } = await execa(tool, ['--version'], { reject: false })
  return failed ? undefined : (stdout.split('\n')[0] ?? '')
}
