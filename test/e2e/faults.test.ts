/** Every fault the simulator can make, on either side: what ferry says of the run is what became of it. */
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { ended, reportAgrees, sourceRuns } from '../support/expect.js'
import { Scene } from '../support/scene.js'
import { device, faulty, workload, type Fault } from '../support/workload.js'

const FLAGS_3 = { flags: ['stop-copy', 'p2p'], precopy: '0B' }

describe.concurrent('a transition that fails is undone: exit 5', () => {
  it.each([
    ['source', 'PRE_COPY', {}, {}],
    ['source', 'PRE_COPY_P2P', {}, {}],
    ['source', 'RUNNING_P2P', FLAGS_3, {}],
    ['source', 'STOP_COPY', {}, {}],
    ['source', 'STOP_COPY', FLAGS_3, { errno: 'EBUSY' }],
    ['source', 'STOP', FLAGS_3, {}],
    ['destination', 'RESUMING', {}, {}],
    // The first arc into STOP leads to RESUMING, the second one loads.
    ['destination', 'STOP', {}, { nth: 2 }],
    ['destination', 'STOP', {}, { nth: 2, enterError: true }],
    ['destination', 'RESUMING', {}, { enterError: true }],
  ] as const)('%s, into %s', async (side, state, sim, more) => {
    const scene = new Scene()
    const faults = [{ kind: 'transition', state, ...more }]
    const result = await scene.migrate(workload([faulty(side, faults, sim), device('other', { seed: 7 })]))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error).toMatchObject({ code: 'device/set-failed', device: 'nic' })
    expect(result.envelope?.error.message).toContain(state)
    expect(scene.journal().intents('source', 'rollback')).toHaveLength(1)
  })

  it('a way back that fails once is gone a second time', async () => {
    const scene = new Scene()
    const faults = [
      { kind: 'transition', state: 'RUNNING_P2P' },
      { kind: 'transition', state: 'RUNNING', errno: 'EBUSY' },
    ]
    const there = [{ kind: 'transition', state: 'STOP', nth: 2 }]
    const nic = device('nic', {}, { source: { faults }, destination: { faults: there } })
    const result = await scene.migrate(workload([nic]))
    // RUNNING was refused once: what was left is a RESET, and that loses what the device held.
    ended(result, scene, 'needsPerson')
    expect(result.envelope?.error).toMatchObject({ code: 'device/state-lost', device: 'nic' })
  })
})

describe.concurrent('a device that does not come back by itself: exit 6, with its name and state', () => {
  it.each(['PRE_COPY', 'PRE_COPY_P2P', 'STOP_COPY'] as const)(
    'in ERROR from %s it is reset, runs, and has lost what it held',
    async (state) => {
      const scene = new Scene()
      const faults = [{ kind: 'transition', state, enterError: true }]
      const result = await scene.migrate(workload([faulty('source', faults), device('other', { seed: 7 })]))
      ended(result, scene, 'needsPerson')
      expect(result.envelope?.error).toMatchObject({ code: 'device/state-lost', device: 'nic' })
      expect(result.envelope?.error.message).toMatch(/RUNNING.*device\/set-failed/su)
      const states = scene.journal().states('source', 'nic')
      expect(states.slice(-2)).toEqual(['ERROR', 'RUNNING'])
      // It runs, but not as it was: recovering does not make that well.
      const recovered = await scene.ferry(['recover', 'last', '--json']).ended
      expect(recovered.exit, recovered.stdout).toBe(EXIT.needsPerson)
      expect(scene.journal().states('source', 'other').at(-1) ?? 'RUNNING').toBe('RUNNING')
    },
  )

  it('on the source, when RESET fails too', async () => {
    const scene = new Scene()
    const faults = [{ kind: 'transition', state: 'STOP_COPY', enterError: true }, { kind: 'reset-fails' }]
    const result = await scene.migrate(workload([faulty('source', faults), device('other', { seed: 7 })]))
    ended(result, scene, 'needsPerson')
    expect(result.envelope?.error).toMatchObject({ code: 'device/needs-person', device: 'nic' })
    expect(result.envelope?.error.message).toContain('ERROR')
    const { report } = result.envelope?.result ?? {}
    expect(report.outcome).toBe('needs-person')
    await reportAgrees(result, scene)
    expect(report.devices[0].states.source).toBe('ERROR')
    // Its neighbour was brought back all the same.
    expect(scene.journal().states('source', 'other').at(-1)).toBe('RUNNING')
  })

  it('on the destination, when RESET fails after a failed load; the source runs', async () => {
    const scene = new Scene()
    const faults = [{ kind: 'transition', state: 'STOP', nth: 2 }, { kind: 'reset-fails' }]
    const result = await scene.migrate(workload([faulty('destination', faults)]))
    ended(result, scene, 'needsPerson')
    await sourceRuns(scene)
    expect(result.envelope?.error).toMatchObject({ code: 'device/reset-failed', device: 'nic' })
    expect(result.envelope?.error.message).toContain('RESUMING')
  })

  it.each([
    ['RUNNING_P2P', { nth: 2 }, 'STOP'],
    ['RUNNING', {}, 'RUNNING_P2P'],
    ['RUNNING', { enterError: true }, 'ERROR'],
  ] as const)('on the destination after COMMIT, into %s %o', async (state, more, found) => {
    const scene = new Scene()
    const faults = [{ kind: 'transition', state, ...more }]
    const result = await scene.migrate(workload([faulty('destination', faults)]))
    ended(result, scene, 'needsPerson')
    expect(result.envelope?.error).toMatchObject({ code: 'device/set-failed', device: 'nic' })
    expect(result.envelope?.error.message).toContain(found)
    // The source gave the run away: no one starts it again.
    const journal = scene.journal()
    expect(journal.states('source', 'nic').at(-1)).toBe('STOP_COPY')
    expect(journal.states('destination', 'nic').at(-1)).toBe(found)
  })
})

describe.concurrent('a state stream that is not what it should be: exit 5', () => {
  it.each([
    ['short by half', { kind: 'short-stream', bytes: '512KiB' }],
    ['short by one byte', { kind: 'short-stream', bytes: String(1024 * 1024 - 1) }],
    ['empty', { kind: 'short-stream', bytes: '0B' }],
    ['endless', { kind: 'endless-stream' }],
  ])('%s', async (_, fault: Fault) => {
    const scene = new Scene()
    // A stream that gives nothing keeps pre-copy waiting for its initial bytes until the time is up.
    const migration = { precopy: { rounds: 20, time: '500ms' }, onNotConverged: 'cutover' }
    const result = await scene.migrate(workload([faulty('source', [fault])], { migration }))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error.device).toBe('nic')
    expect(scene.journal().states('destination', 'nic')).not.toContain('RUNNING_P2P')
  })

  it('for a device of another size', async () => {
    const scene = new Scene()
    const nic = device('nic', {}, { destination: { state: '2MiB' } })
    const result = await scene.migrate(workload([nic]))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error.device).toBe('nic')
  })
})

describe.concurrent('a device that writes after it was stopped: exit 5', () => {
  it.each([['device'], ['iommu']] as const)('found by tracker %s before COMMIT', async (tracker) => {
    const scene = new Scene()
    // Long enough for a write between two reads, however busy this machine is.
    const destination = { latency: { STOP: '100ms' } }
    const source = { faults: [{ kind: 'writes-after-stop' }] }
    const nic = device('nic', { trackers: [tracker] }, { source, destination })
    const result = await scene.migrate(workload([nic]))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error.code).toBe('device/writes-after-stop')
    expect(scene.journal().states('destination', 'nic')).not.toContain('RUNNING_P2P')
  })
})

describe.concurrent('a tracker that fails', () => {
  it.each([
    ['device', { trackers: ['device'] }, 1],
    ['device', { trackers: ['device'] }, 2],
    ['iommu', { trackers: ['iommu'] }, 2],
    ['pinned', { model: 'mdev', trackers: ['pinned'] }, 2],
  ] as const)('%s, at read %o %i: exit 5', async (_, sim, nth) => {
    const scene = new Scene()
    const result = await scene.migrate(workload([faulty('source', [{ kind: 'tracker-error', nth }], sim)]))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error.code).toBe('tracker/log-lost')
  })

  // The page written last before the second read is dropped for good. The copy that was made of it is older, because
  // a round goes through the window faster than the device does; and the device comes back to a page only after
  // seconds, so that its own later writes on the destination do not cover up the loss.
  const dropping = (verify: string) =>
    workload(
      [
        faulty('source', [{ kind: 'drop-dirty-bit', nth: 2 }], {
          pattern: 'sequential',
          writes: '1MiB/s',
        }),
      ],
      { migration: { verify, bandwidth: '24MiB/s' } },
    )

  it('and keeps quiet about a page: full verification names it, exit 5', async () => {
    const scene = new Scene()
    const result = await scene.migrate(dropping('full'))
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    const { mismatches } = result.envelope?.result.report.verification.full ?? {}
    expect(mismatches).toHaveLength(1)
    expect(result.envelope?.error).toMatchObject({ code: 'verify/mismatch' })
    expect(result.envelope?.error.message).toContain(mismatches[0])
    expect(Number(mismatches[0])).toBeLessThan(8 * 1024 * 1024)
  })

  it('and keeps quiet about a page, unverified: the replay of all writes names it, exit 6', async () => {
    const scene = new Scene()
    const result = await scene.migrate(dropping('none'))
    ended(result, scene, 'needsPerson')
    const { writes } = result.envelope?.result.report.verification ?? {}
    expect(writes.lostPages).toBe(1)
    expect(result.envelope?.error.code).toBe('verify/lost-pages')
    expect(result.envelope?.error.message).toContain(writes.lost[0])
    expect(result.envelope?.error.message).toContain('nic')
  })
})
