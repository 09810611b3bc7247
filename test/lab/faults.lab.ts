// The column of the fault matrix around COMMIT, on the lab's kernel: the simulator there, with the guest's own sockets,
// memfds, locks and processors.
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { LAB } from '../faults/table.js'
import type { Guest } from './guest.js'
import { PLAIN, shareGuest } from './shared-guest.js'

const REPO = fileURLToPath(new URL('../..', import.meta.url))

describe('the fault matrix in the guest', () => {
  let guest: Guest
  shareGuest(PLAIN, (shared) => {
    guest = shared
    return Promise.resolve()
  })
  afterAll(() => {
    expect(guest.kernelComplaints()).toEqual([])
  })

  it('every cell of its column ends safely', async () => {
    const names = LAB.map(({ name }) => name.replaceAll('"', '.')).join('|')
    const only = "test/faults/faults.test.ts -t 'ends safely'"
    const command = `cd ${REPO} && FERRY_FAULTS_TOLD=1 FERRY_FAULTS='^(${names})$' npx vitest run ${only}`
    const result = await guest.run(command, { timeoutMs: 600_000 })
    expect(result.exit, result.stdout + result.stderr).toBe(0)
    expect(result.stdout.match(/^ok {3}/gmu)).toHaveLength(LAB.length)
  }, 660_000)
})
