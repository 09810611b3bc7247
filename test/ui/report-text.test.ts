import { describe, expect, it } from 'vitest'
import { buildReport } from '../../src/report/build.js'
import { reportText } from '../../src/ui/report-text.js'
import type { EventRecord } from '../../src/journal/event.js'
import { migrated, started, twoTrackers, type Tape } from '../report/records.js'

const text = (tape: Tape): string => reportText(buildReport(tape.records), { utf8: true })

describe('reportText', () => {
  it('shows a migration from its phases to its verification', () => {
    expect(text(migrated())).toMatchInlineSnapshot(`
      "migrate two-devices: done and verified: the destination runs
      run 20261122T151733-4f2a, began 2026-11-22 15:17:33 UTC, took 984 ms, 512 MiB of memory

      PHASE         TIME  ROUNDS      SENT  RESULT
      pin         310 ms       -         -  ok
      dirty-log  1.20 ms       -         -  ok
      pre-copy    430 ms       1   384 MiB  ok
      cutover     191 ms       -  2.00 MiB  ok
      commit     52.0 ms       -         -  ok

      ROUND     SENT  ZERO PAGES    TIME        RATE  RE-DIRTIED
          1  384 MiB      32 768  179 ms  2.10 GiB/s    11.7 MiB
      pre-copy ended because what is left fits the limit: 11.7 MiB left, about 7.45 ms of blackout

      DIRTY PAGES      pinned:mdevs  UNIQUE  device:nic  UNIQUE  UNION
      after round 1           2 048   2 000       1 000     952  3 000
      before the stop         2 048   2 048           0       0  2 048
      after the stop          2 048   2 047           7       6  2 054

      DEVICE  BACKEND  TRACKER  STATE BYTES  SOURCE     DESTINATION
      vgpu    sim      pinned       256 KiB  STOP_COPY  RUNNING
      nic     sim      device      8.00 MiB  -          -

      blackout 190 ms, limit 500 ms
        PART           TIME  WHAT
        quiesce      812 µs  devices stopped
        last pages  1.43 ms  512 pages, 2.00 MiB
        state       3.92 ms  device state sent
        load        1.21 ms  device state loaded and read back
        verify       182 ms  all memory compared
        resume       640 µs  devices started on the destination

      verified: 131 072 pages hashed on both sides after the stop, none differ
      verified: 9 007 199 254 740 993 device writes replayed over 131 072 pages, none lost

      helpers held 12.0 MiB (source) and 8.00 MiB (destination) besides the workload"
    `)
  })

  it('shows what a dirty-log found', () => {
    const tape = started('dirty-log')
    tape.phase('dirty-log', 10, () => {
      tape.done('source', 'track', { trackers: [] }, { trackers: [], bitmapBytes: '0' })
      for (const pages of [0, 25_600, 51_200]) {
        tape.add(
          { type: 'helper', side: 'source', event: { event: 'log', level: 'info', message: '' } },
          999_990,
        )
        const trackers = [
          { tracker: 'pinned:mdevs', pages: 2048, elapsedUs: 5 },
          { tracker: 'device:nic', pages, elapsedUs: 5 },
        ]
        const unionPages = pages + 2048
        tape.done(
          'source',
          'dirty',
          {},
          { elapsedUs: 7, trackers, unionPages, unionBytes: `${unionPages * 4096}` },
        )
      }
    })
    expect(text(tape.end('done', 0))).toMatchInlineSnapshot(`
      "dirty-log two-devices: done
      run 20261122T151733-4f2a, began 2026-11-22 15:17:33 UTC, took 3.00 s, 512 MiB of memory

      PHASE       TIME  ROUNDS  SENT  RESULT
      dirty-log  10 µs       -     -  ok

      DEVICE  BACKEND  TRACKER  STATE BYTES
      vgpu    sim      pinned       256 KiB
      nic     sim      device       unknown

      ROUND   AFTER  TRACKER       COVERS   PAGES     DIRTY        RATE
          1  1.00 s  pinned:mdevs  vgpu     2 048  8.00 MiB  every read
          1  1.00 s  device:nic    nic          0       0 B       0 B/s
          1  1.00 s  union         all      2 048  8.00 MiB           -
          2  1.00 s  pinned:mdevs  vgpu     2 048  8.00 MiB  every read
          2  1.00 s  device:nic    nic     25 600   100 MiB   100 MiB/s
          2  1.00 s  union         all     27 648   108 MiB           -
          3  1.00 s  pinned:mdevs  vgpu     2 048  8.00 MiB  every read
          3  1.00 s  device:nic    nic     51 200   200 MiB   200 MiB/s
          3  1.00 s  union         all     53 248   208 MiB           -

      dirty rate by round, full height 200 MiB/s
        device:nic   ▄█  200 MiB/s"
    `)
  })

  it('shows what one tracker saw without a column for what only it saw, and what calling everything dirty cost', () => {
    const { records } = migrated()
    const one = JSON.parse(
      JSON.stringify(records).replaceAll(/,\{"tracker":"device:nic","pages"[^}]*\}/gu, ''),
    ) as EventRecord[]
    expect(reportText(buildReport(one))).toMatch(
      /^DIRTY PAGES +pinned:mdevs +UNION\nafter round 1 +2 048 +3 000$/mu,
    )
    const all = JSON.parse(
      JSON.stringify(records).replace('"kind":"pinned"', '"kind":"all"'),
    ) as EventRecord[]
    const [first] = all
    if (first?.body.type === 'run-start') {
      const { trackers } = first.body.plan as { trackers: { everyPage: boolean }[] }
      trackers[0]!.everyPage = true
    }
    expect(reportText(buildReport(all))).toContain(
      'pinned:mdevs had 2 048 pages (8.00 MiB) sent again in the blackout, 2 000 of them reported by no other tracker; ' +
        'how many of them the devices wrote is unknown',
    )
  })

  it('shows in a dirty-log what only one tracker saw', () => {
    const tape = started('dirty-log')
    tape.phase('dirty-log', 10, () => {
      tape.done('source', 'track', { trackers: [] }, { trackers: [], bitmapBytes: '0' })
      const trackers = twoTrackers([2048, 2040], [100, 92])
      tape.done('source', 'dirty', {}, { elapsedUs: 7, trackers, unionPages: 2140, unionBytes: '8765440' })
    })
    const shown = text(tape.end('done', 0))
    expect(shown).toMatch(/TRACKER +COVERS +PAGES +UNIQUE +DIRTY/u)
    expect(shown).toMatch(/pinned:mdevs +vgpu +2 048 +2 040 /u)
    expect(shown).toMatch(/device:nic +nic +100 +92 /u)
    expect(shown).toMatch(/union +all +2 140 +- /u)
  })

  it('leads with the cause and the remedy when a run failed, and keeps other failures apart', () => {
    const tape = started()
      .failed('source', 'precopy', 'link/lost', 'pre-copy')
      .failed('source', 'untrack', 'tracker/stop-failed', 'rollback')
      .end('rolled-back', 5, {
        code: 'link/lost',
        message: 'the peer is gone',
        suggestion: 'look at the network',
      })
    const shown = text(tape)
    expect(shown.split('\n').slice(0, 4)).toEqual([
      'migrate two-devices: failed and rolled back: the source is running, and Ferry has checked it',
      'run 20261122T151733-4f2a, began 2026-11-22 15:17:33 UTC, took 20 µs, 512 MiB of memory',
      'cause [link/lost]: the peer is gone',
      'what to do: look at the network',
    ])
    expect(shown).toContain(
      'failed: roll back: source: untrack it: [tracker/stop-failed] untrack was refused',
    )
    expect(shown.match(/link\/lost/gu)).toHaveLength(1)
  })

  it('never calls an unverified move verified, nor a wrong one', () => {
    const { records } = migrated()
    const change = (from: string, to: string): string =>
      reportText(buildReport(JSON.parse(JSON.stringify(records).replace(from, to))))
    const full = '"verified":{"pages":131072,"mismatches":[]}'
    expect(change(full, '"verified":{"pages":131072,"mismatches":["0x3000"]}')).not.toContain(
      'done and verified',
    )
    const unverified = JSON.stringify(records)
      .replace(full, '"verified":null')
      .replaceAll('"op":"check"', '"op":"unmap"')
    const shown = reportText(buildReport(JSON.parse(unverified)))
    expect(shown).not.toContain('and verified')
    expect(shown).toContain('memory not compared')
  })

  it('says of a journal that just ends what was under way', () => {
    const tape = started()
    tape.add({
      type: 'intent',
      step: 9,
      phase: 'pin',
      side: 'source',
      op: 'map',
      text: 'map 512 MiB',
      params: {},
    })
    expect(text(tape)).toContain('unfinished when the journal ended: source: map 512 MiB')
  })

  it('is cut at the width of a terminal', () => {
    const lines = reportText(buildReport(migrated().records), { width: 40, utf8: true }).split('\n')
    const tables = lines.filter((line) => /^(?:PHASE|ROUND|DEVICE|vgpu|pin|pre-copy )/u.test(line))
    expect(tables.length).toBeGreaterThan(3)
    expect(lines.filter((line) => line.endsWith('…')).length).toBeGreaterThan(0)
  })
})
