import { describe, expect, it } from 'vitest'
import { explainTrackers, trackerLines } from '../../src/ui/tracker-text.js'
import { trackerReadsText } from '../../src/ui/tracker-reads-text.js'
import type { Report } from '../../src/report/report.js'
import { plan } from '../plan/hosts.js'
import { elsewhere, profile, simDevice } from '../plan/profiles.js'

const given = profile([simDevice('s')], { destination: elsewhere() })
const tracked = plan({
  ...given,
  trackers: { ...given.trackers, process: { method: 'auto', freeze: 'auto' } },
})

describe('the tracker of processes', () => {
  it('has a line of its own in a plan, and none where it is not asked for', () => {
    expect(trackerLines(tracked, undefined)).toMatch(/\n {2}\(processes\) +process +- +- /u)
    expect(explainTrackers(tracked, null, 80)).toContain('(processes): process;')
    const plain = plan(given)
    expect(trackerLines(plain, undefined)).not.toContain('(processes)')
    expect(explainTrackers(plain, null, 80)).not.toContain('(processes)')
  })

  it('tells how long processes stood for reads before the blackout', () => {
    const read = (at: 'round' | 'after-stop', stoppedUs?: number) => ({
      ...{ at, round: at === 'round' ? 1 : null, unionPages: 3 },
      trackers: [
        { tracker: 'process', pages: 3, elapsedUs: 9, ...(stoppedUs !== undefined && { stoppedUs }) },
      ],
    })
    const text = (trackerReads: Report['trackerReads']) =>
      trackerReadsText({ everyPage: null, trackerReads } as unknown as Report, {})
    expect(text([read('round', 1500), read('round', 700), read('after-stop', 90_000)])).toMatch(
      /2 reads.*1\.50 ms/u,
    )
    expect(text([read('round'), read('after-stop', 90_000)])).not.toContain('stopped for')
  })
})
