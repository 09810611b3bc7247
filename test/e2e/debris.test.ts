/** Hosts that lost their power: no helper and no ferry is left, only sockets that nobody listens at, records and journals. */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { gone, isRunning, Scene, type Journal } from '../support/scene.js'
import { device, workload, type Device } from '../support/workload.js'

const beginning = (step: string) => (journal: Journal) =>
  journal.told('destination', { event: 'cutover', step, done: false })

/** Everything of a run is killed at once. */
async function powerCut(
  devices: readonly Device[],
  at: (journal: Journal) => boolean,
  migration: object = {},
): Promise<{ readonly scene: Scene; readonly journal: string }> {
  const scene = new Scene()
  const running = scene.start('migrate', workload(devices, { migration: { ...migration } }))
  const { path } = await scene.journalWith('the moment', at)
  const pids = scene.helperPids()
  running.kill('SIGKILL')
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await running.ended
  await gone(...pids)
  return { scene, journal: path }
}

const slowLoad = device('nic', {}, { destination: { latency: { STOP: '1s' } } })
const slowRun = device('nic', {}, { destination: { latency: { RUNNING: '1500ms' } } })
const inRound = (journal: Journal): boolean => journal.told('source', { event: 'round-start' })

describe.concurrent('after a power cut', () => {
  it.each([
    [
      'in pre-copy',
      [device('nic')],
      inRound,
      { bandwidth: '2MiB/s' },
      ['gone-open', 'gone-open'],
      'source/helper-died',
    ],
    [
      'while the destination loads',
      [slowLoad],
      beginning('load'),
      {},
      ['gone-open', 'gone-open'],
      'source/helper-died',
    ],
    [
      'after COMMIT',
      [slowRun],
      beginning('resume'),
      {},
      ['gone-committed', 'gone-committed'],
      'recover/refused',
    ],
  ] as const)(
    '%s: the run is found, named to a person, and ended by giving it up; its devices are free',
    async (_, devices, at, migration, found, code) => {
      const { journal, scene } = await powerCut(devices, at, migration)
      // Half a line, as the disk had it.
      appendFileSync(journal, '{"seq":99999,"ti')
      const left = await scene.ferry(['list', '--unfinished', '--json']).ended
      expect([left.exit, left.envelope?.error.code]).toEqual([EXIT.needsPerson, 'run/unfinished'])
      const [run] = left.envelope?.result.runs ?? []
      expect(run).toMatchObject({ state: 'died', unfinished: 'died' })
      const doctor = await scene.ferry(['doctor', '--json']).ended
      const checks = doctor.envelope?.result.hosts[0].checks
      expect(checks).toContainEqual(
        expect.objectContaining({
          code: 'doctor/unfinished',
          level: 'warn',
          remedy: expect.stringContaining(run.run),
        }),
      )

      const recovered = await scene.ferry(['recover', run.run, '--json']).ended
      expect(recovered.exit, recovered.stdout).toBe(EXIT.needsPerson)
      expect(recovered.envelope?.error.code).toBe(code)
      const { choices, destination, source } = recovered.envelope?.result ?? {}
      expect([source, destination, choices]).toEqual([...found, []])
      // Neither side can be talked into running what is not there.
      const as = found[0] === 'gone-open' ? 'source' : 'destination'
      const told = await scene.ferry(['recover', run.run, '--as', as, '--token', 'ffffff', '--json']).ended
      expect(told.exit, told.stdout).toBe(EXIT.needsPerson)
      const still = await scene.ferry(['list', '--unfinished', '--json']).ended
      expect(still.envelope?.result.runs).toMatchObject([{ unfinished: 'needs-person' }])
      expect((await scene.ferry(['release', run.run, '--give-up', '--json']).ended).exit).toBe(EXIT.done)
      expect((await scene.ferry(['list', '--unfinished', '--json']).ended).envelope?.result.runs).toEqual([])
      const again = await scene.migrate(workload([device('nic')]))
      expect(again.exit, again.stderr).toBe(EXIT.done)

      // Both runs are over: nothing has to be kept of them, here or in the helpers' records.
      const records = (): string[] => readdirSync(join(scene.stateDir, 'records'))
      expect(records().length).toBeGreaterThan(1)
      const prune = async (...flags: string[]) =>
        (await scene.ferry(['prune', '--keep', '0', '--json', ...flags]).ended).envelope?.result
      expect(await prune('--dry-run')).toMatchObject({
        pruned: [{ run: run.run }, {}],
        kept: [],
        dryRun: true,
      })
      expect(scene.runs().length).toBe(2)
      expect((await prune()).pruned.length).toBe(2)
      expect([scene.runs(), records()]).toEqual([[], []])
    },
  )

  it('a journal with damaged lines and a record that cannot be read: a person is asked, not the cable', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowRun]))
    const { path, records } = await scene.journalWith('the resume', beginning('resume'))
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    process.kill(scene.helperPid('destination'), 'SIGKILL')
    await running.ended
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, lines.map((line, at) => (at === 3 ? '\0'.repeat(line.length) : line)).join('\n'))
    const start = records[0]?.body
    const run = start?.type === 'run-start' ? start.run : ''
    writeFileSync(join(scene.stateDir, 'records', `${run}.destination.json`), '\0\0\0')

    const recovered = await scene.ferry(['recover', run, '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.needsPerson)
    expect(recovered.envelope?.warnings.join()).toContain('1 damaged line')
    expect(recovered.envelope?.result).toMatchObject({ source: 'answers', destination: 'gone-unknown' })
    const [choice] = recovered.envelope?.result.choices ?? []
    expect(choice).toMatchObject({ as: 'source', dead: null })
    const told = await scene.ferry(['recover', run, '--as', 'source', '--token', choice.token, '--json'])
      .ended
    expect(told.exit, told.stdout).toBe(EXIT.rolledBack)
    await gone(...pids)
  })

  it('a living destination whose socket was removed is not taken for gone: no word makes the source run', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([slowRun]))
    const { records } = await scene.journalWith('the resume', beginning('resume'))
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    await running.ended
    const start = records[0]?.body
    const [run, seat] = start?.type === 'run-start' ? [start.run, start.seats?.destination] : ['', undefined]
    const sockets = (seat?.sockets ?? []).filter((path) => existsSync(path))
    expect(sockets.length).toBeGreaterThan(0)
    for (const path of sockets) rmSync(path)
    for (const flags of [[], ['--as', 'source', '--token', 'ffffff'], ['--as', 'source']]) {
      const recovered = await scene.ferry(['recover', run, ...flags, '--json']).ended
      expect(recovered.exit, recovered.stdout).toBe(EXIT.needsPerson)
      const { choices, destination, problems } = recovered.envelope?.result ?? {}
      expect([destination, choices]).toEqual(['hidden', []])
      expect(problems.map(({ code }: { code: string }) => code)).toContain('recover/hidden')
    }
    process.kill(scene.helperPid('destination'), 'SIGKILL')
    await gone(scene.helperPid('destination'))
    const recovered = await scene.ferry(['recover', run, '--json']).ended
    expect(recovered.envelope?.result).toMatchObject({ source: 'answers', destination: 'gone-committed' })
    expect((await scene.ferry(['release', run, '--give-up', '--json']).ended).exit).toBe(EXIT.done)
    await gone(...pids)
  })

  it('a journal whose first line is lost: it is named, and the helpers of its profile are asked', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], { migration: { bandwidth: '2MiB/s' } }))
    const { path, records } = await scene.journalWith('a round', inRound)
    const pids = scene.helperPids()
    running.kill('SIGKILL')
    await running.ended
    const start = records[0]?.body
    const run = start?.type === 'run-start' ? start.run : ''
    const text = readFileSync(path, 'utf8')
    const first = text.indexOf('\n')
    writeFileSync(path, '\0'.repeat(first - 40) + text.slice(first - 40))

    const left = await scene.ferry(['list', '--unfinished', '--json']).ended
    expect([left.exit, left.envelope?.result.lost]).toEqual([EXIT.needsPerson, [run]])
    const blind = await Promise.all(
      ['recover', 'report'].map((command) => scene.ferry([command, run, '--json']).ended),
    )
    for (const { envelope } of blind) {
      expect(envelope?.error.code).toBe('journal/broken')
      expect(envelope?.error.suggestions.join()).toContain('--profile')
    }
    expect(pids.every(isRunning)).toBe(true)
    const profile = join(scene.folder, 'profile.yaml')
    const recovered = await scene.ferry(['recover', run, '--profile', profile, '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.rolledBack)
    expect(recovered.envelope?.result).toMatchObject({ did: 'go-back', destination: 'open' })
    await gone(...pids)
    expect((await scene.ferry(['list', '--unfinished', '--json']).ended).exit).toBe(EXIT.done)
  })

  it('a journal that is empty is named, and does not hide the others', async () => {
    const { scene } = await powerCut([device('nic')], inRound, { bandwidth: '2MiB/s' })
    const empty = '20200101T000000-0000'
    writeFileSync(join(scene.stateDir, 'runs', `${empty}.ndjson`), '')
    const listed = await scene.ferry(['list', '--unfinished', '--json']).ended
    expect(listed.envelope?.warnings.join()).toContain(empty)
    expect((await scene.ferry(['recover', empty, '--json']).ended).envelope?.error.code).toBe(
      'journal/broken',
    )
    expect((await scene.ferry(['recover', 'last', '--json']).ended).exit).toBe(EXIT.needsPerson)
  })
})
