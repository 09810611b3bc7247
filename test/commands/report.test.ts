import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { toJson } from '../../src/json.js'
import type { EventRecord } from '../../src/journal/event.js'
import { migrated } from '../report/records.js'
import { scene } from '../support/fake-scene.js'

const RUN = '20261122T151733-4f2a'
function saved(records: readonly EventRecord[] = migrated().records) {
  const { ferry, stateDir } = scene()
  const path = join(stateDir, 'runs', `${RUN}.ndjson`)
  mkdirSync(join(stateDir, 'runs'), { recursive: true })
  writeFileSync(path, records.map((record) => `${toJson(record)}\n`).join(''))
  return { ferry, path }
}

describe('ferry report', () => {
  it.each(['last', RUN, '20261122'])('finds a run by %s', async (name) => {
    const { ferry } = saved()
    const { exitCode, stdout } = await ferry('report', name)
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`run ${RUN}`)
    expect(stdout).toContain('blackout 190 ms, limit 500 ms')
  })

  it('finds it by path, and exits 0 for a run that failed: the report itself is right', async () => {
    const { ferry, path } = saved(migrated().records.slice(0, -1))
    const { exitCode, stdout } = await ferry('report', path, '--json')
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout).result).toMatchObject({ outcome: 'incomplete', torn: false })
  })

  it('warns of a torn journal and reports what is whole', async () => {
    const { ferry, path } = saved()
    appendFileSync(path, '{"seq":99,"time":"2026-')
    const { exitCode, stderr, stdout } = await ferry('report', 'last')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('done and verified')
    expect(stderr).toContain('is incomplete')
  })

  it('refuses a journal that is none, exit 1, naming the line', async () => {
    const { ferry, path } = saved()
    appendFileSync(path, 'hello\nworld\n')
    const { exitCode, stderr } = await ferry('report', path)
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/error\[journal\/broken\].*line \d+ is not a record/su)
  })

  it('lists recent runs for one it does not know, exit 2', async () => {
    const { ferry } = saved()
    const { exitCode, stderr } = await ferry('report', '1999')
    expect(exitCode).toBe(2)
    expect(stderr).toContain(`recent runs: ${RUN}`)
  })
})
