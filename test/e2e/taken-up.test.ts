/** A ferry that is killed before the stop, with both helpers alive: the next one goes on with the run, or undoes it. */
import { describe, expect, it } from 'vitest'
import { RunConnection } from '../../src/control/connection.js'
import { EXIT } from '../../src/exit-codes.js'
import { gone, Scene, type Journal, type Running } from '../support/scene.js'
import { device, workload } from '../support/workload.js'

const inRound = (journal: Journal): boolean => journal.told('source', { event: 'round-start' })

/** A run in pre-copy whose ferry has been killed. */
async function killed(
  migration: Readonly<Record<string, unknown>>,
  look = inRound,
  ...flags: string[]
): Promise<[Scene, number[]]> {
  const scene = new Scene()
  const running: Running = scene.start('migrate', workload([device('nic')], { migration }), ...flags)
  await scene.journalWith('the moment', look)
  const pids = scene.helperPids()
  running.kill('SIGKILL')
  await running.ended
  return [scene, pids]
}

/** Over the run's socket, without the time that a process takes to start. */
async function ask(scene: Scene, asked: { readonly atMs: number; readonly withinMs: number }): Promise<void> {
  const start = scene.journal().records[0]?.body
  const socket = start?.type === 'run-start' ? start.control : undefined
  const connection = await RunConnection.connect(socket ?? '')
  expect(await connection?.request('cutover', asked)).toMatchObject({ answer: 'scheduled' })
  connection?.close()
}

describe.concurrent('a ferry that is killed before the stop', () => {
  it('in pre-copy: recover goes on with the same run to its end, with nothing lost', async () => {
    const [scene, pids] = await killed({ bandwidth: '8MiB/s' })
    const recovered = await scene.ferry(['recover', 'last', '--json']).ended
    expect(recovered.exit, recovered.stdout + recovered.stderr).toBe(EXIT.done)
    expect(recovered.envelope?.result).toMatchObject({ did: 'go-on', outcome: 'done' })
    const journal = scene.journal()
    expect(journal.states('destination', 'nic').at(-1)).toBe('RUNNING')
    expect(journal.answers('destination', 'check').at(-1)?.reply).toMatchObject({ lostPages: 0 })
    await gone(...pids)
    const again = await scene.ferry(['recover', 'last', '--json']).ended
    expect([again.exit, again.envelope?.result.did]).toEqual([EXIT.done, 'nothing'])
  })

  it('--undo: both helpers undo it, and a script sees it by exit code and JSON', async () => {
    const [scene, pids] = await killed({ bandwidth: '8MiB/s' })
    const recovered = await scene.ferry(['recover', 'last', '--undo', '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.rolledBack)
    expect(recovered.envelope?.result.did).toBe('go-back')
    await gone(...pids)
  })

  it('held: the hold still holds, and what was set stays set', async () => {
    const held = (journal: Journal): boolean => journal.records.some(({ body }) => body.type === 'hold')
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')]), '--hold')
    await scene.journalWith('a hold', held)
    expect((await scene.ferry(['set', 'last', 'downtime-limit', '7s']).ended).exit).toBe(0)
    running.kill('SIGKILL')
    await running.ended
    const [recovering, other] = [1, 2].map(() => scene.ferry(['recover', 'last', '--json']))
    if (recovering === undefined || other === undefined) throw new Error('two')
    // Two at once: one of them drives it, and the other is refused.
    const first = await Promise.race([recovering.ended, other.ended])
    expect(first.exit, first.stdout).toBe(EXIT.error)
    expect(['run/busy', 'recover/live']).toContain(first.envelope?.error.code)
    const driver = recovering.alive() ? recovering : other
    const holds = (journal: Journal): number =>
      journal.records.filter(({ body }) => body.type === 'hold' && body.state === 'held').length
    await scene.journalWith('the hold again', (journal) => holds(journal) === 2)
    const status = (await scene.ferry(['status', 'last', '--json']).ended).envelope?.result.status
    expect(status).toMatchObject({
      held: { point: 'before-cutover' },
      limits: { downtimeLimitUs: 7_000_000 },
    })
    const atMs = Date.now() + 2000
    await ask(scene, { atMs, withinMs: 10 })
    // Killed again, it is taken up again, and the time that has passed meanwhile is named and not made up for.
    driver.kill('SIGKILL')
    await driver.ended
    await new Promise((resolve) => setTimeout(resolve, atMs + 20 - Date.now()))
    const third = scene.ferry(['recover', 'last', '--json'])
    const again = await scene.journalWith('the hold once more', (journal) => holds(journal) === 3)
    const asked = again.records.flatMap(({ body }) => (body.type === 'cutover-asked' ? [body] : []))
    expect(asked).toMatchObject([
      { state: 'scheduled', atMs, untilMs: atMs + 10 },
      { state: 'missed', atMs, untilMs: atMs + 10 },
    ])
    expect(again.underWay('source', 'precopy')).toBe(true)
    // Two again: one continues it, and the other is told that it was.
    const cutovers = await Promise.all([1, 2].map(() => scene.ferry(['cutover', 'last', '--json']).ended))
    expect(cutovers.map(({ exit }) => exit).toSorted()).toEqual([EXIT.done, EXIT.error])
    const late = cutovers.find(({ exit }) => exit === EXIT.error)?.envelope?.error.code
    expect(['cutover/too-late', 'run/over']).toContain(late)
    const ended = await third.ended
    expect([ended.exit, ended.envelope?.result.did], ended.stdout).toEqual([EXIT.done, 'go-on'])
    expect(ended.envelope?.result.missed).toEqual({ atMs, untilMs: atMs + 10 })
    expect(ended.envelope?.warnings.join()).toContain('ferry cutover')
    expect(scene.journal().answers('destination', 'check').at(-1)?.reply).toMatchObject({ lostPages: 0 })
  })

  it('with one helper killed, too: recover undoes what is left', async () => {
    const [scene, [, destination = 0]] = await killed({ hold: 'after-dirty-log' }, (journal) =>
      journal.records.some(({ body }) => body.type === 'hold'),
    )
    process.kill(destination, 'SIGKILL')
    await gone(destination)
    const recovered = await scene.ferry(['recover', 'last', '--json']).ended
    expect(recovered.exit, recovered.stdout).toBe(EXIT.rolledBack)
  })

  it('told to undo by a second Ctrl-C: the helpers do not wait', async () => {
    const scene = new Scene()
    const running = scene.start('migrate', workload([device('nic')], { migration: { bandwidth: '2MiB/s' } }))
    await scene.journalWith('the moment', inRound)
    const pids = scene.helperPids()
    running.kill('SIGINT')
    running.kill('SIGINT')
    await running.ended
    await gone(...pids)
  })
})
