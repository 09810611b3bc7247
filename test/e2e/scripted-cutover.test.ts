/** profiles/examples/scripted-cutover.sh with the built ferry, from its plan to the release of its source. */
import { execa } from 'execa'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { CLI, HELPER, ROOT } from '../support/paths.js'
import { Scene, gone } from '../support/scene.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const SCRIPT = join(ROOT, 'profiles', 'examples', 'scripted-cutover.sh')
const PROFILE = join(ROOT, 'profiles', 'scripted-cutover.yaml')

describe('the scripted cutover', { timeout: 120_000 }, () => {
  const carriedOut = async (more: Readonly<Record<string, string>> = {}, profile = PROFILE) => {
    const scene = new Scene()
    const env = {
      PATH: process.env['PATH'],
      HOME: scene.folder,
      FERRY: `${process.execPath} ${CLI}`,
      FERRY_HELPER: HELPER,
      FERRY_STATE_DIR: scene.stateDir,
      FERRY_DEMO: join(scene.folder, 'demo'),
      XDG_RUNTIME_DIR: scene.folder,
      // A busy machine must not decide this test.
      DOWNTIME_LIMIT: '20s',
      ...more,
    }
    const run = await execa('sh', [SCRIPT, ...(profile === PROFILE ? [] : [profile])], {
      reject: false,
      extendEnv: false,
      env,
    })
    const ferry = (...args: string[]) =>
      execa(process.execPath, [CLI, ...args], { reject: false, extendEnv: false, env })
    return { ferry, run, scene }
  }

  it('moves the workload, checks it, and lets the source go', async () => {
    const { ferry, run, scene } = await carriedOut()
    expect(run.exitCode, run.stdout + run.stderr).toBe(EXIT.done)
    expect(run.stdout).toMatch(/device writes replayed over .* none lost/u)
    expect(run.stdout).toMatch(/released the source of run/u)
    // The release is in the journal too, behind the run's end.
    const ends = scene
      .journal()
      .records.flatMap(({ body }) => (body.type === 'run-end' ? [body.outcome] : []))
    expect(ends).toEqual(['done'])
    const closed = await ferry('release', '--hold', PROFILE, '--side', 'destination', '--json')
    expect(closed.exitCode, closed.stdout + closed.stderr).toBe(EXIT.done)
  })

  it('keeps the source when the workload is not well, and cancels what cannot be cut over', async () => {
    const unwell = await carriedOut({ CHECK: 'false' })
    expect(unwell.run.exitCode, unwell.run.stdout + unwell.run.stderr).toBe(EXIT.error)
    const run = /run (?<run>\S+) moved the workload/u.exec(unwell.run.stderr)?.groups?.['run'] ?? ''
    const kept = await unwell.ferry('release', run, '--json')
    expect(JSON.parse(kept.stdout).result.released, kept.stdout).toBe(true)
    await unwell.ferry('release', '--hold', PROFILE, '--side', 'destination')

    // A millisecond is never enough for comparing all memory, however many rounds go before.
    const text = readFileSync(PROFILE, 'utf8')
    const twoRounds = text.replace('precopy: { rounds: 30,', 'precopy: { rounds: 2,')
    expect(twoRounds).not.toBe(text)
    const profile = join(temporaryFolder(), 'two-rounds.yaml')
    writeFileSync(profile, twoRounds)
    const refused = await carriedOut({ DOWNTIME_LIMIT: '1ms', WINDOW: '500ms' }, profile)
    expect(refused.run.exitCode, refused.run.stdout + refused.run.stderr).toBe(EXIT.downtimeLimit)
    const [start] = refused.scene.journal().records
    expect(refused.scene.journal().end()?.outcome).toBe('cancelled')
    // The journal ends a moment before its process does.
    const pid = start?.body.type === 'run-start' ? start.body.pid : undefined
    expect(pid).toBeGreaterThan(0)
    await gone(Number(pid))
  })
})
