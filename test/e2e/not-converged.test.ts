/** The ceiling holds: a blackout that would pass the limit is not begun, one that passes it on the way is undone. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ended, sourceRuns } from '../support/expect.js'
import { Scene, type Journal } from '../support/scene.js'
import { device, workload } from '../support/workload.js'

/** Writes faster than a round takes: something is always dirty. */
const busy = device('nic', { writes: '64MiB/s' })

function nothingCommitted(scene: Scene): void {
  const folder = join(scene.stateDir, 'records')
  const records = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
  for (const name of records) {
    const { decision, role } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    // settled: the source's devices ran again before it closed them.
    expect(decision).toBe(role === 'source' ? 'settled' : 'discard')
  }
}

/** Every request that carried a limit carried this one. */
function limits(journal: Journal): Set<unknown> {
  const ops = ['precopy', 'cutover'] as const
  return new Set(
    ops.flatMap((op) =>
      journal
        .intents('source', op)
        .map(({ params }) => (params as { downtimeLimitMs: number }).downtimeLimitMs),
    ),
  )
}

describe.concurrent('the downtime limit', () => {
  it('gives up when the rest does not fit it: exit 7, no cutover, nothing committed', async () => {
    const scene = new Scene()
    const result = await scene.migrate(
      workload([busy], { migration: { precopy: { rounds: 3, time: '20s' } } }),
      '--downtime-limit',
      '1ms',
    )
    ended(result, scene, 'downtimeLimit')
    await sourceRuns(scene)
    const journal = scene.journal()
    expect(result.envelope?.error.code).toBe('limit/not-converged')
    expect(result.envelope?.result.report.precopy).toMatchObject({ reason: 'rounds', rounds: 3 })
    expect(journal.intents('source', 'cutover')).toEqual([])
    expect(journal.states('source', 'nic')).toEqual(['PRE_COPY', 'RUNNING'])
    expect(limits(journal)).toEqual(new Set([1]))
    nothingCommitted(scene)
  })

  it('gives up when the time is used up', async () => {
    const scene = new Scene()
    const result = await scene.migrate(
      workload([busy], {
        migration: { downtimeLimit: '1ms', precopy: { rounds: 100_000, time: '300ms' } },
      }),
    )
    ended(result, scene, 'downtimeLimit')
    await sourceRuns(scene)
    expect(result.envelope?.result.report.precopy.reason).toBe('time')
  })

  it('is not raised by going ahead: the cutover is refused before a device stops', async () => {
    const scene = new Scene()
    const result = await scene.migrate(
      workload([busy], {
        migration: {
          downtimeLimit: '1ms',
          onNotConverged: 'cutover',
          precopy: { rounds: 2, time: '20s' },
        },
      }),
    )
    ended(result, scene, 'downtimeLimit')
    await sourceRuns(scene)
    const journal = scene.journal()
    expect(result.envelope?.error.code).toBe('limit/downtime')
    expect(journal.intents('source', 'cutover')).toHaveLength(1)
    expect(journal.states('source', 'nic')).toEqual(['PRE_COPY', 'RUNNING'])
    expect(limits(journal)).toEqual(new Set([1]))
    nothingCommitted(scene)
  })

  it('counts the transitions a device is known to take', async () => {
    const scene = new Scene()
    const nic = device('nic', { latency: { STOP_COPY: '3s' } })
    const result = await scene.migrate(
      workload([nic], { migration: { downtimeLimit: '2s', precopy: { rounds: 2, time: '20s' } } }),
    )
    ended(result, scene, 'downtimeLimit')
    await sourceRuns(scene)
    expect(scene.journal().states('source', 'nic')).not.toContain('STOP_COPY')
  })

  it.each([
    ['with pre-copy', {}],
    ['without', { flags: ['stop-copy'], precopy: '0B' }],
  ])('passed on the way, by a device that stops late, is undone (%s)', async (_, sim) => {
    const scene = new Scene()
    const faults = [{ kind: 'slow-stop', delay: '2500ms' }]
    const nic = device(
      'nic',
      { ...sim, writes: '1MiB/s', window: { iova: 0, size: '1MiB' } },
      { source: { faults } },
    )
    const result = await scene.migrate(workload([nic], { migration: { downtimeLimit: '2s' } }))
    ended(result, scene, 'downtimeLimit')
    await sourceRuns(scene)
    const journal = scene.journal()
    expect(result.envelope?.error.code).toBe('limit/downtime')
    const states = journal.states('source', 'nic')
    expect(states.slice(states.indexOf('STOP_COPY'))).toEqual(
      'flags' in sim ? ['STOP_COPY', 'RUNNING'] : ['STOP_COPY', 'RUNNING_P2P', 'RUNNING'],
    )
    expect(journal.answers('source', 'cutover')[0]?.reply).toMatchObject({ outcome: 'rolled-back' })
    expect(limits(journal)).toEqual(new Set([2000]))
    nothingCommitted(scene)
  })
})
