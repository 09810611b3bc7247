/** Which helper that answers is the run's own, and which one only has the same workload. */
import { describe, expect, it } from 'vitest'
import type { RecordReply, StatusReply } from '../../src/protocol/protocol.js'
import { findDestination, findSource } from '../../src/recovery/find-sides.js'
import type { Settling } from '../../src/recovery/left-run.js'
import type { Client, Reach } from '../../src/recovery/sides.js'

const RUN = '20261122T151733-4f2a'
const SEAT = {
  host: { host: 'local', helper: null, become: null, stateDir: null },
  sockets: ['/run.sock', '/holder.sock'],
  recordDir: '/records',
  devices: ['nic'],
}
type Answers = Partial<Record<string, Partial<StatusReply> | 'silent'>>

/** Helpers at sockets, by what their status says; and what is recorded on that host. */
function host(
  at: Answers,
  record: RecordReply['record'],
  later: StatusReply['phase'][] = [],
  held?: RecordReply['held'],
): Reach {
  const client = (status: Partial<StatusReply> | 'silent') =>
    ({
      request: async (op: string) => {
        if (status === 'silent') throw new Error('the link is lost')
        if (op === 'record') return { record, ...(held !== undefined && { held }) }
        return { ...status, phase: later.shift() ?? status.phase }
      },
      close: async () => null,
    }) as unknown as Client
  return {
    attach: async (_side, _seat, socket) => (at[socket] === undefined ? null : client(at[socket])),
    open: async () => client({}),
  }
}
const devices: StatusReply['devices'] = [{ device: 'nic', state: 'RUNNING' }]
const HOLDER = { run: null, workload: 'w', phase: 'idle', devices } as const

describe('a destination', () => {
  const find = async (at: Answers, record: RecordReply['record'], settled: Settling) =>
    (await findDestination(host(at, record), SEAT, { run: RUN, workload: 'w', settled })).found

  it('is settled by the holder that the run has made, and by no other', async () => {
    const holder = { '/holder.sock': HOLDER }
    expect(await find(holder, 'committed', 'done')).toBe('settled')
    expect(await find(holder, 'committed', 'holding')).toBe('settled')
    // It was there before: the run's own helper is gone, with or without a commit.
    expect(await find(holder, 'none', 'no')).toBe('gone-open')
    expect(await find(holder, 'committed', 'no')).toBe('gone-committed')
    expect(await find(holder, 'discarded', 'no')).toBe('gone-discarded')
  })

  it('is settled by the holder that says which run it came by, whatever the journal has', async () => {
    const holder = (cameBy: string) => ({ '/holder.sock': { ...HOLDER, cameBy } })
    for (const settled of ['no', 'holding', 'handing', 'done'] as const)
      expect(await find(holder(RUN), 'committed', settled)).toBe('settled')
    expect(await find(holder('another'), 'committed', 'no')).toBe('gone-committed')
  })

  it('is not gone while a process has its devices, though no socket leads to it', async () => {
    const kept = [{ device: 'nic', pid: 7 }]
    for (const [record, kind] of [
      ['committed', 'hidden'],
      ['prepared', 'hidden'],
      ['none', 'hidden'],
      ['settled', 'gone-settled'],
      ['discarded', 'gone-discarded'],
    ] as const) {
      const how = { run: RUN, workload: 'w', settled: 'no' } as const
      const found = await findDestination(host({}, record, [], kept), SEAT, how)
      expect([found.found, found.problems.map(({ code }) => code)]).toEqual([kind, ['recover/hidden']])
    }
  })

  it('is settled where its helper wrote so, whether or not its answer was heard', async () => {
    for (const settled of ['no', 'handing', 'holding', 'done'] as const)
      expect(await find({}, 'settled', settled)).toBe('gone-settled')
    expect(await find({}, 'committed', 'handing')).toBe('gone-handing')
  })

  it('is asked at its own socket first', async () => {
    const at = {
      '/run.sock': { run: RUN, workload: null, phase: 'cutover', devices },
      '/holder.sock': HOLDER,
    } as const
    expect(await find(at, 'none', 'no')).toBe('open')
  })

  it('that is still starting its devices is waited for, and called stuck when it does not get there', async () => {
    const at = { '/run.sock': { run: RUN, workload: null, phase: 'running', devices } } as const
    const find = async (later: StatusReply['phase'][]) => {
      const how = { run: RUN, workload: 'w', settled: 'no' } as const
      return (await findDestination(host(at, 'committed', later), SEAT, how, { polls: 3, betweenMs: 1 }))
        .found
    }
    expect(await find(['committed', 'committed', 'committed'])).toBe('runs')
    expect(await find(['committed', 'committed', 'committed', 'committed'])).toBe('stuck')
    expect(await find(['committed', 'idle'])).toBe('unreachable')
  })

  it('that is there and does not answer is not gone', async () => {
    expect(await find({ '/run.sock': 'silent' }, 'committed', 'no')).toBe('unreachable')
  })
})

describe('a source', () => {
  const find = async (at: Answers, record: RecordReply['record']) =>
    (await findSource(host(at, record), SEAT, RUN)).found

  it('that is gone is lost, unless it wrote down that its devices ran when it closed them', async () => {
    expect(await find({}, 'none')).toBe('gone-open')
    expect(await find({}, 'discarded')).toBe('gone-open')
    expect(await find({}, 'settled')).toBe('ran')
    expect(await find({}, 'committed')).toBe('gone-committed')
  })

  it('is not gone while a process has its devices, unless nothing can make it run', async () => {
    const kept = [{ device: 'nic', pid: null }]
    const found = async (record: RecordReply['record']) =>
      (await findSource(host({}, record, [], kept), SEAT, RUN)).found
    expect(await found('none')).toBe('hidden')
    expect(await found('prepared')).toBe('hidden')
    expect(await found('settled')).toBe('ran')
    expect(await found('committed')).toBe('gone-committed')
  })

  it('that holds again runs, unless it committed: then this holder is another’s', async () => {
    expect(await find({ '/holder.sock': HOLDER }, 'none')).toBe('runs')
    expect(await find({ '/holder.sock': HOLDER }, 'discarded')).toBe('runs')
    expect(await find({ '/holder.sock': HOLDER }, 'committed')).toBe('released')
    expect(await find({ '/holder.sock': { ...HOLDER, run: 'another' } }, 'committed')).toBe('gone-committed')
  })
})
