/** Ctrl-C in every phase; the phase is hit by watching the journal, not by the clock. */
import { describe, expect, it } from 'vitest'
import { ended, moved, reportAgrees, sourceRuns } from '../support/expect.js'
import { gone, isRunning, Scene, type Journal } from '../support/scene.js'
import { device, region, workload, type Workload } from '../support/workload.js'

/** Enough to allocate that a signal sent when it begins arrives before it ends. */
const LARGE = { memory: [region('ram', 0, '512MiB', { fill: { seed: 3, zero: '100%' } })] }
/** Pre-copy takes seconds. */
const SLOW = { migration: { bandwidth: '2MiB/s' } }
/** Loading takes a second. */
const slowLoad = device('nic', {}, { destination: { latency: { STOP: '1s' } } })
const lateStop = device('nic', {}, { source: { faults: [{ kind: 'slow-stop', delay: '1s' }] } })

const inRound = (journal: Journal): boolean => journal.told('source', { event: 'round-start' })
const beginning = (step: string, side: 'source' | 'destination') => (journal: Journal) =>
  journal.told(side, { event: 'cutover', step, done: false })

type Hit = readonly [phase: string, what: string, profile: Workload, look: (journal: Journal) => boolean]
const HITS: readonly Hit[] = [
  [
    'pin',
    'the destination’s memory',
    workload([device('nic')], LARGE),
    (journal) => journal.underWay('destination', 'memory'),
  ],
  ['pre-copy', 'a round', workload([device('nic')], SLOW), inRound],
  ['cutover', 'a device that stops', workload([lateStop]), beginning('quiesce', 'source')],
  ['cutover', 'the load', workload([slowLoad]), beginning('load', 'destination')],
]

describe.concurrent('a signal', () => {
  it.each(HITS)('in %s (%s) cancels: exit 4, the source runs', async (phase, what, profile, look) => {
    const scene = new Scene()
    const running = scene.start('migrate', profile)
    await scene.journalWith(what, look)
    running.kill('SIGINT')
    const result = await running.ended
    ended(result, scene, 'cancelled')
    await sourceRuns(scene)
    expect(result.envelope?.error.code).toBe('run/cancelled')
    const { report } = result.envelope?.result ?? {}
    expect(report).toMatchObject({ outcome: 'cancelled', cancelAsked: true })
    expect(report.phases.map((done: { phase: string }) => done.phase).slice(-2)).toEqual([phase, 'rollback'])
    await reportAgrees(result, scene)
  })

  it('while the trackers start cancels there or in the next phase', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], SLOW))
    await scene.journalWith('the trackers', (journal) => journal.intents('source', 'track').length > 0)
    running.kill('SIGINT')
    ended(await running.ended, scene, 'cancelled')
    await sourceRuns(scene)
  })

  it('ends a dirty-log between two rounds', async () => {
    const scene = new Scene()
    const running = scene.start('dirty-log', workload(), '--rounds', '50', '--interval', '1s')
    await scene.journalWith('a round', (journal) => journal.answers('source', 'dirty').length > 0)
    running.kill('SIGINT')
    const result = await running.ended
    ended(result, scene, 'cancelled')
    const phases = result.envelope?.result.report.phases.map((done: { phase: string }) => done.phase)
    expect(phases.slice(-2)).toEqual(['dirty-log', 'rollback'])
    await gone(scene.helperPid('source'))
  })

  it.each(['SIGTERM', 'SIGHUP'] as const)('%s is as good as SIGINT', async (signal) => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], SLOW))
    await scene.journalWith('a round', inRound)
    running.kill(signal)
    ended(await running.ended, scene, 'cancelled')
    await sourceRuns(scene)
  })

  it('comes too late once COMMIT is written: the destination runs, exit 0', async () => {
    const scene = new Scene()
    const nic = device('nic', {}, { destination: { latency: { RUNNING: '1s' } } })
    const running = scene.start('migrate', workload([nic]))
    await scene.journalWith('the resume', beginning('resume', 'destination'))
    running.kill('SIGINT')
    await moved(await running.ended, scene)
  })

  it('twice stops waiting: exit 9 with the run id; the helpers put back and end by themselves', async () => {
    const scene = new Scene()
    // The way back takes longer than anybody waits.
    const nic = device('nic', {}, { source: { latency: { RUNNING: '2s' } } })
    const running = scene.start('migrate', workload([nic], SLOW))
    await scene.journalWith('a round', inRound)
    const pids = scene.helperPids()
    running.kill('SIGINT')
    await scene.journalWith('the cancel', ({ records }) =>
      records.some(({ body }) => body.type === 'cancel-asked'),
    )
    running.kill('SIGINT')
    const result = await running.ended
    ended(result, scene, 'unknown')
    const run = (scene.runs()[0] ?? '').replace('.ndjson', '')
    expect(result.envelope?.error.message).toContain(run)
    expect(JSON.stringify(result.envelope?.error.suggestions)).toContain(`ferry report ${run}`)
    expect(pids.some(isRunning), 'a helper is still putting back').toBe(true)
    await gone(...pids)
    expect((await scene.report(run)).envelope?.result.outcome).toBe('unknown')
    // What they held is free again.
    const again = await scene.migrate(workload())
    expect(again.exit, again.stderr).toBe(0)
  })
})
