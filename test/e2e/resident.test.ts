/** The helpers' own memory stays small whatever the workload's size. */
import { ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { StatusReply, TrackReply } from '../../src/protocol/protocol.js'
import { moved } from '../support/expect.js'
import { Scene } from '../support/scene.js'
import { device, region, workload, type Workload } from '../support/workload.js'

const MIB = 1024 * 1024

async function bounded(scene: Scene, profile: Workload): Promise<void> {
  const result = await scene.migrate(profile)
  await moved(result, scene)
  const journal = scene.journal()
  const { bitmapBytes } = journal.answers('source', 'track')[0]?.reply as TrackReply
  const { resident } = result.envelope?.result.report ?? {}
  for (const side of ['source', 'destination'] as const) {
    const status = journal.answers(side, 'status').at(-1)?.reply as StatusReply
    expect(resident[side]).toBe(status.residentBytes)
    const held = Number(resident[side])
    expect(held).toBeGreaterThan(MIB)
    expect(held, side).toBeLessThan(Number(bitmapBytes) + 64 * MIB)
  }
}

describe('resident memory', () => {
  it('moving 1 GiB is below the bitmaps and 64 MiB', async () => {
    const memory = [region('ram', 0, '1GiB', { fill: { seed: 3, zero: '90%' } })]
    const nic = device('nic', {
      window: { iova: '512MiB', size: '256MiB' },
      writes: '64MiB/s',
      state: '16MiB',
    })
    await bounded(new Scene(), workload([nic], { memory, migration: { verify: 'none' } }))
  }, 120_000)

  it('files behind the memory are the workload’s, not the helper’s', async () => {
    const scene = new Scene()
    const files = ['source', 'destination'].map((side) => {
      const file = join(scene.folder, side)
      ftruncateSync(openSync(file, 'w'), 96 * MIB)
      return { file }
    })
    const memory = [
      region('ram', 0, '96MiB', { backing: { source: files[0], destination: files[1] }, fill: null }),
    ]
    await bounded(scene, workload([device('nic')], { memory, migration: { verify: 'none' } }))
  })
})
