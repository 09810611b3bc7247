import { describe, expect, it } from 'vitest'
import { lostStays } from '../../src/recovery/lost-device.js'
import type { EventRecord, Outcome } from '../../src/journal/event.js'

const journal = (outcome: Outcome, code: string) => ({
  records: [
    {
      ...{ seq: 1, time: '', atUs: 1 },
      body: { type: 'run-end', outcome, exit: 6, elapsedUs: 1, error: { code, message: 'nic' } },
    },
  ] as readonly EventRecord[],
})
const back = { outcome: 'rolled-back', error: null } as const
const refused = { outcome: 'unknown', error: { code: 'protocol/phase', message: 'idle' } } as const
const unreachable = { outcome: 'unknown', error: { code: 'run/unknown', message: 'no route' } } as const

describe('a device that lost what it held', () => {
  it.each(['device/state-lost', 'device/needs-person'])('%s: no recovery makes it well', (code) => {
    const lost = journal('needs-person', code)
    const stays = { outcome: 'needs-person', error: { code } }
    expect(lostStays(lost, back)).toMatchObject(stays)
    expect(lostStays(lost, refused)).toMatchObject(stays)
    expect(lostStays(lost, unreachable)).toBe(unreachable)
  })

  it('anything else is as it was found', () => {
    expect(lostStays(journal('needs-person', 'source/helper-died'), back)).toBe(back)
    expect(lostStays(journal('unknown', 'device/state-lost'), back)).toBe(back)
    expect(lostStays({ records: [] }, back)).toBe(back)
  })
})
