import { describe, expect, it } from 'vitest'
import type { Event } from '../../src/journal/event.js'
import { howSettled } from '../../src/recovery/left-run.js'

const saved = (...bodies: readonly Event[]) => ({
  records: bodies.map((body, index) => ({ seq: index + 1, time: '', atUs: index, body })),
})
const commit: Event = { type: 'phase-start', phase: 'commit' }
const ask = (step: number, op: string): Event => ({
  ...{ type: 'intent', step, phase: 'commit', side: 'destination', op, text: op, params: {} },
})
const ok = (step: number): Event => ({ type: 'outcome', step, ok: true, elapsedUs: 1, reply: {} })
const failed = (step: number, code: string): Event => ({
  ...{ type: 'outcome', step, ok: false, elapsedUs: 1, error: { code, message: code } },
})

describe('what the journal knows of the destination’s devices', () => {
  it.each<[string, readonly Event[], string]>([
    ['nothing was asked', [commit], 'no'],
    ['held', [commit, ask(7, 'stay'), ok(7)], 'done'],
    ['asked to hold, no answer', [commit, ask(7, 'stay')], 'holding'],
    ['a hold that was refused', [commit, ask(7, 'stay'), failed(7, 'socket/busy')], 'no'],
    ['a release that gives the run up', [ask(7, 'release'), ok(7)], 'no'],
    ['handed over', [commit, ask(7, 'exec'), ok(7)], 'done'],
    ['the ferry died while it was handed over', [commit, ask(7, 'exec')], 'handing'],
    ['the link died meanwhile', [commit, ask(7, 'exec'), failed(7, 'link/lost')], 'handing'],
    ['the command could not be started', [commit, ask(7, 'exec'), failed(7, 'exec/failed')], 'no'],
    [
      'nor could it at first',
      [
        commit,
        ask(7, 'exec'),
        failed(7, 'exec/failed'),
        { type: 'recover-start', epoch: 2, version: '' },
        ask(8, 'exec'),
      ],
      'handing',
    ],
  ])('%s', (_, bodies, expected) => {
    expect(howSettled(saved(...bodies))).toBe(expected)
  })
})
