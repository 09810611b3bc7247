/** `ferry prune`: what may go, and what stays whatever its age. */
import fc from 'fast-check'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import type { Event, Outcome } from '../../src/journal/event.js'
import { lockJournal } from '../../src/journal/lock.js'
import { newRunId } from '../../src/journal/run-id.js'
import { beganMs, pastLimits, prune, type Pruned, type PruneInput } from '../../src/recovery/prune.js'
import type { Client, Reach } from '../../src/recovery/sides.js'
import { leave } from './left-journal.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 28)

describe('the limits', () => {
  it('take what is older, or not among the newest, oldest first', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { maxLength: 30 }),
        fc.integer({ min: 0, max: 30 }),
        fc.integer({ min: 1, max: 400 }),
        (ages, keep, days) => {
          const ids = ages
            .map((age) => newRunId(new Date(NOW - age * DAY)))
            .sort()
            .reverse()
          const past = pastLimits(ids, { keep, olderThanMs: days * DAY }, NOW)
          const stay = ids.filter((id) => !past.includes(id))
          expect(stay).toEqual(ids.slice(0, keep).filter((id) => NOW - beganMs(id) <= days * DAY))
          expect([...past]).toEqual([...past].sort())
        },
      ),
    )
  })
})

describe('pruning', () => {
  const stateDir = join(temporaryFolder(), 'state')
  const runs = join(stateDir, 'runs')
  mkdirSync(runs, { recursive: true, mode: 0o700 })
  let day = 100
  /** A run of some day, each a day younger than the one before, with these events behind its start. */
  function run(...events: readonly Event[]): string {
    const id = newRunId(new Date(NOW - day-- * DAY))
    const { bodies } = leave({ moment: 'stopped', then: { kind: 'close' }, dead: [] })
    const all = [...bodies, ...events].map((body) =>
      body.type === 'run-start' ? { ...body, run: id } : body,
    )
    const lines = all.map((body, at) => JSON.stringify({ seq: at + 1, time: '', atUs: at, body }))
    writeFileSync(pathOf(id), `${lines.join('\n')}\n`)
    return id
  }
  const pathOf = (id: string): string => join(runs, `${id}.ndjson`)
  const end = (outcome: Outcome): Event => ({ type: 'run-end', outcome, exit: 0, elapsedUs: 1 })
  const decided = { as: 'source', dead: 'destination' } as const

  const done = run(end('done'))
  const held = run(end('done'))
  const back = run(end('rolled-back'))
  const driven = run(end('done'))
  const died = run()
  const unknown = run(end('unknown'))
  const taken = run(end('unknown'), { type: 'recover-start', epoch: 2, version: '0' })
  const owed = run({ type: 'recover-start', epoch: 2, version: '0', decided }, end('rolled-back'))
  const headless = run(end('done'))
  const fresh = run(end('done'))
  writeFileSync(join(runs, `${done}.log`), 'log')
  writeFileSync(`${pathOf(done)}.damaged`, 'what a recovery found')
  writeFileSync(pathOf(headless), `garbage\n${readFileSync(pathOf(headless), 'utf8').split('\n')[1]}\n`)

  const forgotten: string[] = []
  let away = true
  /** A helper of `held` still answers; records are forgotten while the journal is there. */
  const reach: Reach = {
    attach: async (_role, { recordDir }) => helper(() => ({ run: recordDir === '/b/records' ? held : null })),
    open: async () => {
      if (away) throw new FerryError({ code: 'link/unreachable', exit: EXIT.error, message: 'away' })
      return helper(({ forget, role, run: id }) => {
        expect([forget, existsSync(pathOf(String(id)))]).toEqual([true, true])
        forgotten.push(`${String(id)} ${String(role)}`)
        return { record: 'none' }
      })
    },
  }
  function helper(answer: (params: Readonly<Record<string, unknown>>) => unknown): Client {
    const request = async (_op: string, params: Readonly<Record<string, unknown>>) => answer(params)
    return { request, close: async () => null } as unknown as Client
  }
  const pruneWith = (more: Partial<PruneInput>) =>
    prune({
      stateDir,
      reach,
      nowMs: NOW,
      dryRun: false,
      limits: { olderThanMs: 91.5 * DAY, keep: 500 },
      ...more,
    })
  const why = ({ kept }: Pruned) => Object.fromEntries(kept.map(({ run: id, why: reason }) => [id, reason]))
  const stays = {
    [driven]: 'under-way',
    [died]: 'unfinished',
    [unknown]: 'unfinished',
    [taken]: 'unfinished',
    [owed]: 'unfinished',
    [headless]: 'unreadable',
  }

  it('keeps what may still be needed, and removes the records before the journal of what is over', async () => {
    const unlock = lockJournal(stateDir, driven)
    const blind = await pruneWith({})
    expect(blind.pruned).toEqual([])
    expect(why(blind)).toEqual({
      ...stays,
      ...Object.fromEntries([done, held, back].map((id) => [id, 'unreachable'])),
    })

    away = false
    const dry = await pruneWith({ dryRun: true })
    expect(dry.pruned.map(({ run: id }) => id)).toEqual([done, back])
    expect([forgotten, existsSync(pathOf(done))]).toEqual([[], true])
    expect((await pruneWith({ hosts: new Set(['a', 'c']) })).pruned).toEqual([])

    const some = await pruneWith({ most: 1 })
    expect(some.pruned.map(({ run: id }) => id)).toEqual([done])
    const rest = await pruneWith({})
    expect(rest.pruned.map(({ run: id }) => id)).toEqual([back])
    expect(why(rest)).toEqual({ ...stays, [held]: 'helper' })
    expect(forgotten).toEqual([done, back].flatMap((id) => [`${id} source`, `${id} destination`]))
    const left = [driven, died, unknown, taken, owed, headless, held, fresh].map((id) => `${id}.ndjson`)
    expect(readdirSync(runs).sort()).toEqual(left.sort())
    unlock()
    expect((await pruneWith({ limits: { olderThanMs: 1000 * DAY, keep: 0 } })).pruned.length).toBe(2)
  })
})
