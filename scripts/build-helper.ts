/** Builds the helper: helper/target/release/ferry-helper. Quiet unless it fails or a person watches. */
import { execa } from 'execa'
import { HELPER_CRATE, publish, release } from './cargo.js'
import { requireTools } from './prerequisites.js'

await requireTools('rust')
const watched = process.stderr.isTTY
const { args, env } = await release()
const cargo = await execa('cargo', ['build', ...args], {
  cwd: HELPER_CRATE,
  env,
  reject: false,
  ...(watched ? { stdio: 'inherit' } : { all: true }),
})
if (cargo.failed) {
  if (!watched) process.stderr.write(`${cargo.all || cargo.shortMessage}\n`)
  process.stderr.write(`error: the helper did not build (cargo build ${args.join(' ')}, in helper/)\n`)
  process.exit(1)
}
await publish('ferry-helper')
