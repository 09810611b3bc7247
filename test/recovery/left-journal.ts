/** What a ferry that died had written of its run, beside what it left of the two helpers. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Event, EventRecord, SideAddresses } from '../../src/journal/event.js'
import { LeftPair, RUN, WORKLOAD } from './left-pair.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const folder = temporaryFolder()

/** How far the two helpers came by themselves once the cutover was begun, heard or not. */
export const MOMENTS = [
  'stopped',
  'source committed',
  'destination runs',
  'settling',
  'settled',
  'source released',
] as const
export type Moment = (typeof MOMENTS)[number]
type Then = SideAddresses['then']
export const THENS: readonly Then[] = [
  { kind: 'hold' },
  { kind: 'close' },
  { kind: 'exec', command: ['vmm'] },
]

export interface Scene {
  readonly moment: Moment
  /** The helpers came no further because the data connection broke, or because they were waiting. */
  readonly then: Then
  readonly dead: readonly ('source' | 'destination')[]
  /** `from: holder` */
  readonly sourceHolds?: boolean
}

function sideAddresses(then: Then): SideAddresses {
  const address = (name: string) => ({
    host: { host: name, helper: null, become: null, stateDir: null },
    sockets: [`/${name}/run.sock`, `/${name}/holder.sock`],
    recordDir: `/${name}/records`,
    devices: ['nic'],
  })
  return {
    source: address('a'),
    destination: address('b'),
    then,
    releaseSource: 'on-commit',
    workload: WORKLOAD,
    handOut: null,
  } as SideAddresses
}

const SETTLE_OP = { hold: 'stay', close: 'release', exec: 'exec' } as const

/** The pair as it was left, and what the ferry had written of it: every request before it is made. */
export function leave({ dead, moment, sourceHolds = false, then }: Scene): {
  readonly pair: LeftPair
  readonly bodies: readonly Event[]
} {
  const pair = new LeftPair()
  const { destination, source } = pair
  pair.sourceHolds = sourceHolds
  const at = MOMENTS.indexOf(moment)
  const bodies: Event[] = [
    {
      ...{ type: 'run-start', run: RUN, command: 'migrate', profile: WORKLOAD, file: 'w.yaml' },
      ...{ version: '0', plan: {}, seats: sideAddresses(then) },
    },
    { type: 'phase-start', phase: 'cutover' },
    intent(1, 'source', 'cutover'),
  ]
  if (at >= 1) source.record = 'committed'
  if (at >= 2) {
    destination.record = 'committed'
    destination.devices = 'running'
  }
  if (at >= 3) {
    bodies.push({ type: 'outcome', step: 1, ok: true, elapsedUs: 1, reply: { outcome: 'running' } })
    bodies.push({ type: 'phase-start', phase: 'commit' }, intent(2, 'destination', SETTLE_OP[then.kind]))
  }
  if (at >= 4) {
    destination.ofRun = false
    destination.record = 'settled'
    if (then.kind === 'hold') destination.holds = true
    else destination.devices = then.kind === 'exec' ? 'handed' : 'closed'
  }
  if (at >= 5) {
    bodies.push(
      { type: 'outcome', step: 2, ok: true, elapsedUs: 1, reply: {} },
      intent(3, 'source', 'release'),
    )
    source.ofRun = false
    source.devices = 'closed'
    source.alive = false
  }
  for (const side of dead) pair.kill(side)
  return { pair, bodies }
}

function intent(step: number, side: 'source' | 'destination', op: string): Event {
  return { type: 'intent', step, phase: 'commit', side, op, text: op, params: {} }
}

let made = 0
export function journal(bodies: readonly Event[]): { readonly stateDir: string; readonly path: string } {
  const stateDir = join(folder, String(++made))
  mkdirSync(join(stateDir, 'runs'), { recursive: true, mode: 0o700 })
  const path = join(stateDir, 'runs', `${RUN}.ndjson`)
  const records = bodies.map((body, index): EventRecord => ({
    seq: index + 1,
    time: '2026-11-22T15:17:33.000Z',
    atUs: index,
    body,
  }))
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''), { mode: 0o600 })
  return { stateDir, path }
}
