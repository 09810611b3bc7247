/** Builds the helper: helper/target/release/ferry-helper. Quiet unless it fails or a person watches. */
import { execa } from 'execa'
import { fileURLToPath } from 'node:url'
import { requireTools } from './prerequisites.js'

const helper = fileURLToPath(new URL('../helper', import.meta.url))

await requireTools('rust')
const watched = process.stderr.isTTY
// The target folder is named, because ferry looks for the helper there whatever CARGO_TARGET_DIR says.
const cargo = await execa('cargo', ['build', '--release', '--locked', '--target-dir', 'target'], {
  cwd: helper,
  reject: false,
  ...(watched ? { stdio: 'inherit' } : { all: true }),
})
if (cargo.failed) {
  if (!watched) process.stderr.write(`${cargo.all || cargo.shortMessage}\n`)
  process.stderr.write('error: the helper did not build (cargo build --release --locked, in helper/)\n')
  process.exit(1)
}
