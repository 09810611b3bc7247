/** What must hold at the end of a run, seen from its journal and from what ferry said. */
import { expect } from 'vitest'
import { EXIT, type ExitName } from '../../src/exit-codes.js'
import type { CheckReply, StatusReply, RollbackReply } from '../../src/protocol/protocol.js'
import type { Ended, Journal, Scene } from './scene.js'
import { gone } from './scene.js'

/** The exit code by the process, the envelope and the journal alike. */
export function ended(result: Ended, scene: Scene, exit: ExitName): void {
  const said = `${result.stdout}\n${result.stderr}`
  expect(result.exit, said).toBe(EXIT[exit])
  expect(result.envelope?.exit, said).toBe(EXIT[exit])
  expect(scene.journal().end()?.exit, said).toBe(EXIT[exit])
}

/** Done: nothing lost, the source stopped, the destination running, no helper left. */
export async function moved(result: Ended, scene: Scene): Promise<void> {
  ended(result, scene, 'done')
  const journal = scene.journal()
  const check = journal.answers('destination', 'check').at(-1)?.reply as CheckReply
  expect(check.lost).toEqual([])
  expect(check.lostPages).toBe(0)
  expect(check.pages).toBeGreaterThan(0)
  const { report } = result.envelope?.result ?? {}
  for (const { device, states } of report.devices) {
    expect([device, states]).toEqual([device, { source: 'STOP_COPY', destination: 'RUNNING' }])
  }
  expect(result.envelope?.warnings).toEqual([])
  await gone(...scene.helperPids())
}

/** The report read back from the journal is the one that was given. */
export async function reportAgrees(result: Ended, scene: Scene): Promise<void> {
  const { report, run } = result.envelope?.result ?? {}
  const later = await scene.report(run)
  expect(later.exit).toBe(0)
  expect(later.envelope?.result.report).toEqual(report)
}

/**
 * Not moved: the source's devices were seen RUNNING after all was put back, by three independent words: the
 * rollback's reply, the status asked afterwards, and the last state each device reported. No destination device ran.
 */
export async function sourceRuns(scene: Scene): Promise<void> {
  const journal = scene.journal()
  expect(journal.intents('destination', 'check')).toEqual([])
  const { devices } = journal.answers('source', 'rollback').at(-1)?.reply as RollbackReply
  const status = journal.answers('source', 'status').at(-1)?.reply as StatusReply
  expect(devices.length).toBeGreaterThan(0)
  expect(devices.map(({ state }) => state)).toEqual(devices.map(() => 'RUNNING'))
  expect(status.devices).toEqual(devices)
  for (const { device } of devices) {
    const states = journal.states('source', device)
    expect(states.at(-1) ?? 'RUNNING').toBe('RUNNING')
    expect(neverRan(journal, device), journal.text()).toBe(true)
  }
  await gone(...scene.helperPids())
}

/** Before COMMIT a destination's device leaves RUNNING for RESUMING, and reaches RUNNING again only by a RESET. */
function neverRan(journal: Journal, device: string): boolean {
  const states = journal.states('destination', device)
  return !states.includes('RUNNING_P2P') && states.filter((state) => state === 'RUNNING').length <= 1
}
