// Does the lab hold what the other lab tests stand on?
import { describe, expect, it } from 'vitest'
import type { Guest } from './guest.js'
import {
  bindVfioPci,
  createMtty,
  findEdu,
  listMttys,
  migrationState,
  pciPath,
  removeMtty,
  unbindVfioPci,
  vfioFacts,
} from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'

const uuid = '0d3f1c6e-7a54-4b0e-9a39-5d9b1f3c2a01'
let guest: Guest

shareGuest(PLAIN, (shared) => {
  guest = shared
})

describe('the guest', () => {
  it('runs Linux 6.12 with both memory backends', async () => {
    expect(await guest.ok(['uname', '-r'])).toMatch(/^6\.12\./)
    expect(await guest.ok('stat -c %F /dev/vfio/vfio /dev/iommu')).toBe(
      'character special file\ncharacter special file',
    )
  })

  it('has debugfs, hugetlbfs and the results share', async () => {
    expect(await guest.ok('stat -fc %T /sys/kernel/debug /dev/hugepages')).toBe('debugfs\nhugetlbfs')
    expect(await guest.ok('findmnt -no FSTYPE /results')).toBe('9p')
    expect(Number(await guest.ok('cat /proc/sys/vm/nr_hugepages'))).toBeGreaterThan(0)
  })

  it('makes mtty mdevs, each alone in its group', async () => {
    const path = await createMtty(guest, uuid)
    expect(await listMttys(guest)).toEqual([uuid])
    expect(await vfioFacts(guest, path)).toMatchObject({ driver: 'mtty', groupType: 'unknown' })
    expect(await migrationState(guest, uuid)).toBe('RUNNING')
    await removeMtty(guest, uuid)
    expect(await listMttys(guest)).toEqual([])
  })

  it('has an edu device that vfio-pci takes', async () => {
    const bdf = await findEdu(guest)
    await bindVfioPci(guest, bdf)
    const facts = await vfioFacts(guest, pciPath(bdf))
    expect(facts).toMatchObject({ driver: 'vfio-pci', groupType: 'identity', groupName: '' })
    expect(facts.cdev).toMatch(/^vfio\d+$/)
    await unbindVfioPci(guest, bdf)
  })

  it('keeps what programs write away from the host, but for /results', async () => {
    await guest.ok('mkdir -p /etc/ferry-lab-test && touch "$HOME/x" && echo written > /results/note')
    expect(await guest.ok(['cat', '/results/note'])).toBe('written')
    await expect(import('node:fs/promises').then((fs) => fs.access('/etc/ferry-lab-test'))).rejects.toThrow()
  })
})

describe('the agent', () => {
  it('tells exit codes, signals and both streams apart', async () => {
    const result = await guest.run('echo out; echo err >&2; exit 7')
    expect(result).toMatchObject({ exit: 7, signal: null, stdout: 'out\n', stderr: 'err\n' })
    await expect(guest.run(['/no/such/program'])).rejects.toThrow('ENOENT')
  })

  it('carries bytes that are no text, and bounds what it keeps', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    const result = await guest.run(['cat'], { stdin: bytes })
    expect(new Uint8Array(result.stdoutBytes)).toEqual(bytes)
    const bounded = await guest.run('head -c 100000 /dev/zero', { maxOutput: 1000 })
    expect(bounded).toMatchObject({ exit: 0, truncated: true })
    expect(bounded.stdoutBytes).toHaveLength(1000)
  })

  it('runs commands at the same time, signals one, and ends another in time', async () => {
    const sleeper = await guest.start('trap "echo caught; exit 3" INT; while :; do sleep 0.1; done')
    expect(await guest.ok(`test -d /proc/${String(sleeper.pid)} && echo alive`)).toBe('alive')
    // bash needs a moment to set its trap.
    await guest.ok(['sleep', '0.5'])
    expect(await sleeper.kill('SIGINT')).toBe(true)
    expect(await sleeper.wait()).toMatchObject({ exit: 3, stdout: 'caught\n' })
    expect(await guest.run('sleep 60', { timeoutMs: 300 })).toMatchObject({
      timedOut: true,
      signal: 'SIGKILL',
    })
  })

  it('writes to a command as it runs', async () => {
    const cat = await guest.start(['cat'], { keepStdin: true })
    await cat.write('one ')
    await cat.write('two')
    await cat.endInput()
    expect(await cat.wait()).toMatchObject({ exit: 0, stdout: 'one two' })
  })
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})
