// The helper's tests against a real kernel (helper/tests/kernel_lab*.rs), run in the lab's guest.
import path from 'node:path'
import { execa } from 'execa'
import { beforeAll, describe, expect, it } from 'vitest'
import { Guest } from '../lab/guest.js'
import { bindVfioPci, createMtty, findEdu, mdevPath, migrationState, pciPath, removeMtty } from '../lab/mtty.js'
import { PLAIN, shareGuest } from '../lab/shared-guest.js'
import { release } from '../../scripts/cargo.js'

const crate = process.env['FERRY_LAB_CRATE'] ?? path.resolve('helper')
const uuid = '5b0f7f0e-3c6a-4d0b-8a43-1f7c2f9e6d11'
let programs: ReadonlyMap<string, string>

/** One JSON object a line; those of built programs name them. */
interface CargoMessage {
  readonly reason: string
  readonly executable?: string | null
  readonly target?: { readonly name: string }
}

beforeAll(async () => {
  // As `npm test` builds them, so that nothing is built twice.
  const { args, env } = await release()
  const tests = ['--test', 'kernel_lab', '--test', 'kernel_lab_hwpt']
  const { stdout } = await execa(
    'cargo',
    ['test', '--quiet', ...args, '--no-run', ...tests, '--message-format=json'],
    { cwd: crate, env, stderr: 'inherit' },
  )
  const messages = stdout.split('\n').map((line) => JSON.parse(line) as CargoMessage)
  programs = new Map(
    messages.flatMap(({ executable, target }) => (executable && target ? [[target.name, executable]] : [])),
  )
}, 600_000)

/** Runs every test of `name`, one at a time, and shows what they printed if any failed. */
async function runProgram(guest: Guest, name: string, env: Readonly<Record<string, string>>): Promise<void> {
  const program = programs.get(name)
  if (program === undefined) throw new Error(`cargo built no ${name}`)
  const words = Object.entries(env).map(([key, value]) => `${key}=${value}`)
  const { exit, stdout, stderr } = await guest.run([
    ...['env', ...words, program],
    ...['--ignored', '--nocapture', '--test-threads=1'],
  ])
  if (process.env['FERRY_LAB_SHOW']) console.log(stdout)
  expect(exit, `${stdout}${stderr}`).toBe(0)
  expect(stdout).toMatch(/test result: ok\. [1-9]\d* passed/)
  expect(guest.kernelComplaints()).toEqual([])
}

describe('the helper on a real kernel', () => {
  let shared: Guest
  shareGuest(PLAIN, (guest) => {
    shared = guest
  })

  it('saves, loads, maps, tracks and inventories by type1 and by iommufd', async () => {
    const guest = shared
    const mdev = await createMtty(guest, uuid)
    const edu = await findEdu(guest)
    await bindVfioPci(guest, edu)
    await runProgram(guest, 'kernel_lab', { FERRY_LAB_MDEV: mdev, FERRY_LAB_FUNCTION: pciPath(edu) })
    expect(mdev).toBe(mdevPath(uuid))
    expect(await migrationState(guest, uuid)).toBe('RUNNING')
    await removeMtty(guest, uuid)
  })

  it('reads the dirty bits of iommufd page tables', async () => {
    // With a real IOMMU driver present, 6.12 hands the mock device to that one.
    const guest = await Guest.boot({ kernelArgs: ['intel_iommu=off'] })
    try {
      await runProgram(guest, 'kernel_lab_hwpt', {})
    } finally {
      await guest.shutdown()
    }
  })
})
