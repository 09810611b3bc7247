/** Processes that die without a word: the side that is left puts back what may be put back, and says what is known. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { ended, sourceRuns } from '../support/expect.js'
import { gone, Scene, type Journal } from '../support/scene.js'
import { device, workload } from '../support/workload.js'

// A short grace: nobody comes.
const SLOW = { migration: { bandwidth: '2MiB/s', grace: '50ms' } }
const two = [device('nic'), device('disk', { seed: 5, trackers: ['iommu'] })]
const slowLoad = device('nic', {}, { destination: { latency: { STOP: '1s' } } })
const slowRun = device('nic', {}, { destination: { latency: { RUNNING: '1500ms' } } })

const inRound = (journal: Journal): boolean => journal.told('source', { event: 'round-start' })
const beginning = (step: string) => (journal: Journal) =>
  journal.told('destination', { event: 'cutover', step, done: false })

/** What each side has recorded of its own decision. */
function decisions(scene: Scene): Record<string, string> {
  const folder = join(scene.stateDir, 'records')
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return Object.fromEntries(
    names.map((name) => {
      const { decision, role } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
      return [role, decision]
    }),
  )
}

describe.concurrent('a helper that is killed', () => {
  it('the destination’s, in pre-copy: exit 5, the source runs', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload(two, SLOW))
    await scene.journalWith('a round', inRound)
    process.kill(scene.helperPid('destination'), 'SIGKILL')
    const result = await running.ended
    ended(result, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(result.envelope?.error.message).toMatch(/SIGKILL/u)
  })

  it('the destination’s, while it loads: exit 5, the source runs', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowLoad]))
    await scene.journalWith('the load', beginning('load'))
    process.kill(scene.helperPid('destination'), 'SIGKILL')
    ended(await running.ended, scene, 'rolledBack')
    await sourceRuns(scene)
    expect(decisions(scene)['source']).not.toBe('commit')
  })

  it('the source’s, in pre-copy: exit 6, naming its devices; the destination keeps nothing', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload(two, SLOW))
    await scene.journalWith('a round', inRound)
    const pids = scene.helperPids()
    process.kill(scene.helperPid('source'), 'SIGKILL')
    const result = await running.ended
    ended(result, scene, 'needsPerson')
    expect(result.envelope?.error.code).toBe('source/helper-died')
    for (const word of ['nic', 'disk', 'SIGKILL']) expect(result.envelope?.error.message).toContain(word)
    expect(decisions(scene)).toEqual({ destination: 'discard' })
    await gone(...pids)
  })

  it('the destination’s, after COMMIT: exit 9, and the source is not started', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowRun]))
    await scene.journalWith('the resume', beginning('resume'))
    const pids = scene.helperPids()
    process.kill(scene.helperPid('destination'), 'SIGKILL')
    const result = await running.ended
    ended(result, scene, 'unknown')
    expect(result.envelope?.error.message).toContain((scene.runs()[0] ?? '').replace('.ndjson', ''))
    expect(scene.journal().states('source', 'nic').at(-1)).toBe('STOP_COPY')
    expect(decisions(scene)).toEqual({ source: 'commit', destination: 'commit' })
    // The source keeps the workload as it was at the cutover, until somebody says what it is worth.
    const recovered = await scene.ferry(['recover', 'last', '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.needsPerson)
    const [choice] = recovered.envelope?.result.choices ?? []
    expect(choice).toMatchObject({ as: 'source', dead: null, did: 'go-back' })
    const bare = await scene.ferry(['recover', 'last', '--as', 'source', '--token', '000000', '--json']).ended
    expect([bare.exit, bare.envelope?.error.code]).toEqual([EXIT.needsPerson, 'recover/token'])
    const told = await scene.ferry(['recover', 'last', '--as', 'source', '--token', choice.token, '--json'])
      .ended
    expect(told.exit, told.stdout).toBe(EXIT.rolledBack)
    await gone(...pids)
  })

  it('the source’s, after COMMIT: the destination runs, and that is said', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowRun]))
    await scene.journalWith('the resume', beginning('resume'))
    const pids = scene.helperPids()
    process.kill(scene.helperPid('source'), 'SIGKILL')
    const result = await running.ended
    ended(result, scene, 'done')
    expect(scene.journal().states('destination', 'nic').at(-1)).toBe('RUNNING')
    expect(scene.journal().answers('destination', 'check').at(-1)?.reply).toMatchObject({ lostPages: 0 })
    await gone(...pids)
  })
})

describe.concurrent('ferry itself killed', () => {
  it('in pre-copy: the helpers undo and end, the claims are free, the journal tells what was under way', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], SLOW))
    await scene.journalWith('a round', inRound)
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    expect((await running.ended).signal).toBe('SIGKILL')
    await gone(...pids)
    // No one saw it, so each wrote down how it ended.
    expect(decisions(scene)).toEqual({ source: 'settled', destination: 'discard' })

    const [name = ''] = scene.runs()
    const told = await scene.report(name.replace('.ndjson', ''))
    expect(told.exit).toBe(0)
    const { report } = told.envelope?.result ?? {}
    expect(report).toMatchObject({ outcome: 'incomplete', exit: null, error: null })
    expect(report.phases.at(-1)).toMatchObject({ phase: 'pre-copy', outcome: 'unfinished' })
    const unfinished = report.unfinished.map(({ text }: { text: string }) => text)
    expect(unfinished).toContainEqual(expect.stringMatching(/^send the memory/u))
    expect(unfinished).toContain('receive the workload')

    const text = await scene.ferry(['report', 'last']).ended
    expect(text.stdout).toMatch(
      /INCOMPLETE[\s\S]*unfinished when the journal ended: source: send the memory/u,
    )

    // The same devices, claimed in the same folder.
    const again = await scene.migrate(workload([device('nic')]))
    expect(again.exit, again.stderr).toBe(0)
  })

  it('while the destination loads: nothing is committed', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowLoad]))
    await scene.journalWith('the load', beginning('load'))
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    await running.ended
    await gone(...pids)
    expect(decisions(scene)).toEqual({ source: 'settled', destination: 'discard' })
    expect((await scene.report()).envelope?.result.report.phases.at(-1)).toMatchObject({ phase: 'cutover' })
    const recovered = await scene.ferry(['recover', 'last', '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.rolledBack)
  })

  it('after COMMIT: both helpers keep to it', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowRun]))
    await scene.journalWith('the resume', beginning('resume'))
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    await running.ended
    const recovered = await scene.ferry(['recover', 'last', '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.done)
    await gone(...pids)
    // The destination ran before its devices were closed, as the profile says.
    expect(decisions(scene)).toEqual({ source: 'commit', destination: 'settled' })
  })

  it('leaves a journal that is readable though its last line was cut', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], SLOW))
    const journal = await scene.journalWith('a round', inRound)
    running.kill('SIGKILL')
    await running.ended
    const whole = readFileSync(journal.path)
    const cut = join(scene.folder, 'cut.ndjson')
    writeFileSync(cut, whole.subarray(0, whole.length - 20))
    const told = await scene.report(cut)
    expect(told.exit, told.stdout).toBe(0)
    expect(told.envelope?.result.report.outcome).toBe('incomplete')
    await gone(...scene.helperPids())
  })
})
