import { describe, expect, it } from 'vitest'
import { planText } from '../../src/ui/plan-text.js'
import { edu, EDU, mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { inventory, plan } from '../plan/hosts.js'
import { makePlan } from '../../src/plan/make-plan.js'
import { profile, realDevice, simDevice } from '../plan/profiles.js'

const both = [mtty(UUID_A), mtty(UUID_B), mlx5Vf(VF_A), mlx5Vf(VF_B), edu()]
const real = plan(
  profile([realDevice('uart', 'mdev', UUID_A, UUID_B), realDevice('net', 'function', VF_A, VF_B)]),
  both,
)
const blocked = plan(
  profile([
    realDevice('edu', 'function', EDU, '0000:00:09.0', { tracker: 'pinned' }),
    { ...simDevice('s', { flags: ['stop-copy'] }) },
  ]),
  both,
)
const lines = (text: string) => text.split('\n')

describe('planText', () => {
  it.each([60, 80, 100, 120])('stays within %i columns', (width) => {
    for (const made of [real, blocked]) {
      for (const line of lines(planText(made, { width })))
        expect(line.length, line).toBeLessThanOrEqual(width)
    }
  })
  it('cuts no id: where two UUIDs do not fit a row they get lines of their own', () => {
    for (const width of [80, 200]) {
      const text = planText(real, { width })
      for (const id of [UUID_A, UUID_B, VF_A, VF_B]) expect(text).toContain(id)
    }
    expect(planText(real, { width: 80 })).toContain(`\n  from ${UUID_A}\n  to   ${UUID_B}\n`)
  })
  it('names every tracker with its reason, and every refused alternative with its code', () => {
    const text = planText(real, { width: 120 })
    for (const tracker of real.trackers) {
      expect(text).toContain(`${tracker.kind} for ${tracker.covers.join(', ')}`)
      for (const refused of tracker.refused) expect(text).toContain(`not ${refused.kind} (${refused.code})`)
    }
  })
  it('numbers the steps in order', () => {
    const numbers = [...planText(real).matchAll(/^ +(\d+) {2}(?:source|destination) {2}/gm)].map((match) =>
      Number(match[1]),
    )
    expect(numbers).toEqual(real.steps.map((_, index) => index + 1))
  })
  it('shows all blockers last, each with code, side, device and remedy', () => {
    const text = planText(blocked, { width: 120 })
    const tail = text.slice(text.indexOf('BLOCKERS'))
    expect(lines(tail).filter((line) => line.startsWith('  - ['))).toHaveLength(
      new Set(blocked.blockers.map((one) => `${one.code} ${one.device} ${one.found}`)).size,
    )
    for (const blocker of blocked.blockers) expect(tail).toContain(`[${blocker.code}]`)
    expect(tail).toContain('-> did you mean')
  })
  it('says once what is so on both sides', () => {
    const same = plan(
      profile([realDevice('edu', 'function', EDU, EDU)], {
        destination: { host: 'b', helper: null, listen: { address: '::', port: 0 } },
      }),
      both,
    )
    const text = planText(same, { width: 120 })
    expect(text.match(/\[generic-driver\]/g)).toHaveLength(1)
    expect(text).toContain('[generic-driver] both sides, edu')
  })
  it('a plan for the source alone speaks of no destination steps', () => {
    const given = profile([realDevice('uart', 'mdev', UUID_A, UUID_B)])
    const made = makePlan(given, inventory(both), null, { stateDir: '/state', purpose: 'measure' })
    expect(planText(made)).not.toContain('cutover')
  })
})
