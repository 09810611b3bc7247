// `npm run lab -- COMMAND...`: one command in a fresh guest, as if it ran here.
import { prepareLab } from './setup.js'
import { Guest } from './guest.js'

const USAGE = `Usage: npm run lab -- [--device DEVICE]... COMMAND [ARGUMENT...]

Boots a machine with a VFIO kernel, runs COMMAND in it with this checkout as its
folder, and ends with the command's exit code. One argument with spaces in it is
given to bash. --device adds a device, in QEMU's words.

  npm run lab -- ferry devices
  npm run lab -- node dist/src/cli/cli.js devices
  npm run lab -- 'ls -l /dev/vfio; dmesg | tail'
  npm run lab -- --device edu --device edu lspci
`

async function main(words: readonly string[]): Promise<number> {
  const devices: string[] = []
  let argv = words
  while (argv[0] === '--device' && argv[1] !== undefined) {
    devices.push(argv[1])
    argv = argv.slice(2)
  }
  const [first] = argv
  if (first === undefined) {
    process.stderr.write(`lab: error: no command\n\n${USAGE}`)
    return 2
  }
  if (first === '--help' || first === '-h') {
    process.stdout.write(USAGE)
    return 0
  }
  await prepareLab()
  const guest = await Guest.boot({ devices, wallClockMs: 24 * 3600_000 })
  try {
    process.stderr.write(`lab: guest up after ${(guest.bootMs / 1000).toFixed(1)} s\n`)
    const command = argv.length === 1 && /\s/.test(first) ? first : argv
    const child = await guest.start(command, {
      onOutput: (fd, data) => void (fd === 1 ? process.stdout : process.stderr).write(data),
    })
    // Ctrl-C is the command's to answer, as it would be here; a second one ends the guest.
    let interrupts = 0
    process.on('SIGINT', () => {
      if (++interrupts > 1) process.exit(130)
      void child.kill('SIGINT', { group: true })
    })
    process.on('SIGTERM', () => process.exit(143))
    const result = await child.wait()
    const complaints = guest.kernelComplaints()
    if (complaints.length > 0) {
      process.stderr.write(
        `lab: the guest's kernel complained (${guest.consoleLog}):\n${complaints.join('\n')}\n`,
      )
    }
    if (result.signal !== null) process.stderr.write(`lab: the command was ended by ${result.signal}\n`)
    return result.exit ?? 1
  } finally {
    await guest.shutdown()
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`lab: error: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
