/**
 * Builds the helper: helper/target/release/ferry-helper. With `--production` without the simulator:
 * helper/target/production/ferry-helper. Quiet unless it fails or a person watches.
 */
import { execa } from 'execa'
import { parseArgs } from 'node:util'
import { HELPER_CRATE, PRODUCTION, publish, release } from './cargo.js'
import { requireTools } from './prerequisites.js'

await requireTools('rust')
const { production } = parseArgs({ options: { production: { type: 'boolean', default: false } } }).values
const watched = process.stderr.isTTY
const { args, env } = await release()
const build = ['build', '--bin', 'ferry-helper', ...args, ...(production ? PRODUCTION : [])]
const cargo = await execa('cargo', build, {
  cwd: HELPER_CRATE,
  env,
  reject: false,
  ...(watched ? { stdio: 'inherit' } : { all: true }),
})
if (cargo.failed) {
  if (!watched) process.stderr.write(`${cargo.all || cargo.shortMessage}\n`)
  process.stderr.write(`error: the helper did not build (cargo ${build.join(' ')}, in helper/)\n`)
  process.exit(1)
}
await publish('ferry-helper', production ? 'production' : 'release')
