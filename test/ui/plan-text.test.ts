import { describe, expect, it } from 'vitest'
import { estimateTerms } from '../../src/forecast/estimate.js'
import type { Sample } from '../../src/forecast/sample.js'
import { planText } from '../../src/ui/plan-text.js'
import { edu, EDU, mlx5Vf, mtty, UUID_A, UUID_B, VF_A, VF_B } from '../inventory/fixtures.js'
import { inventory, plan } from '../plan/hosts.js'
import { makePlan } from '../../src/plan/make-plan.js'
import { elsewhere, profile, realDevice, simDevice } from '../plan/profiles.js'

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
  it('says in one line a device who tracks it, where, and why', () => {
    const section = planText(real)
      .split('\n\n')
      .find((part) => part.startsWith('TRACKERS'))!
    expect(lines(section)).toHaveLength(2 + real.choices.length)
    for (const { backend, brief, container, device, kind } of real.choices) {
      expect(section).toMatch(new RegExp(`^ {2}${device} +${kind} +${container} +${backend} +${brief}$`, 'm'))
    }
    expect(section).not.toContain('not-preferred')
    const stuck = planText(blocked)
      .split('\n\n')
      .find((part) => part.startsWith('TRACKERS'))!
    expect(stuck).toMatch(/^ {2}edu +none +\S+ +iommufd +none is possible: see the blockers$/m)
  })
  it('--explain: reason, every refused alternative with its code, cost and container, device by device', () => {
    const text = planText(real, { width: 120, explain: true }).replaceAll(/\s+/g, ' ')
    for (const { backend, container, cost, device, kind, partition, reason, refused } of real.choices) {
      expect(text).toContain(`${device}: ${kind} in ${container} (${backend})`)
      expect(refused.length).toBe(3)
      for (const one of refused) expect(text).toContain(`not ${one.kind} (${one.code}): ${one.reason}`)
      for (const said of [reason, cost!.text, partition!]) expect(text).toContain(said)
    }
    expect(text).not.toContain('SAMPLE')
    const none = planText(real, { explain: true, found: { sample: null, passedOver: null } })
    expect(none).toContain('SAMPLE\n  none: `ferry dirty-log`')
  })
  it('--explain: a sample’s figures stand with their tracker, and its age and misfits are said', () => {
    const [pinned, device] = real.trackers
    const figures = {
      pages: { min: 9, median: 1234, max: 5000 },
      onlyPages: 17,
      share: 0.0094,
      atMost: false,
    }
    const sample: Sample = {
      ...{ run: '20261122T151733-4f2a', journal: 'x', startedAt: '', ageMs: 3 * 86_400_000 },
      ...{ rounds: 5, spanUs: 5_000_000, memoryBytes: 1n, union: { ...figures, bytesPerSecond: null } },
      misfits: [{ what: 'trackers', text: 'other trackers: iommu:x for net' }],
      trackers: [
        { ...pinned!, unitBytes: 4096, ...figures, bytesPerSecond: null },
        { ...device!, unitBytes: 65_536, ...figures, bytesPerSecond: 2n << 20n },
      ],
      estimate: {
        ...estimateTerms(null, null, 300),
        ...{ dirtyBytesPerSecond: 2n << 20n, floorBytes: 4096n, converges: true, rounds: 2 },
        ...{ remainingBytes: 8192n, blackoutUs: 8000 },
      },
    }
    const found = { sample, passedOver: null }
    const text = planText(real, { explain: true, found, width: 120 })
    expect(text).toContain('dirty-log 20261122T151733-4f2a, 3 days ago: 5 rounds in 5.00 s')
    expect(text).toContain('! it does not match this plan: other trackers: iommu:x for net')
    expect(text).toMatch(/device:net +64\.0 KiB +9 +1 234 +5 000 +17 +2\.00 MiB\/s +0\.9 %/)
    expect(text).toMatch(/pinned:type1-mdevs +4\.00 KiB .* every read +0\.9 %/)
    expect(text).toContain('fits the limit of 300 ms')
    const flat = text.replaceAll(/\s+/g, ' ')
    expect(flat).toContain(
      'sampled 9 / 1 234 / 5 000 pages a round (min / median / max), 17 of them reported by no other',
    )
    for (const width of [60, 80, 120]) {
      for (const line of lines(planText(real, { explain: true, found, width }))) {
        expect(line.length, line).toBeLessThanOrEqual(width)
      }
    }
    const misfits = [{ what: 'memory', text: 'other memory: 1 bytes, the plan has 2' }] as const
    expect(
      planText(real, { explain: true, found: { sample: null, passedOver: { run: 'r7', misfits } } }),
    ).toContain('none that matches: r7 has other memory')
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
        destination: elsewhere(),
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
