// `ferry` in the guest, as an operator or a script runs it, and what its journal says afterwards.
import { expect } from 'vitest'
import type { Envelope } from '../../src/cli/base-command.js'
import type { ErrorBody } from '../../src/cli/error-text.js'
import type { Inventory, InventoryDevice } from '../../src/inventory/inventory.js'
import type { HelperEvent, Role } from '../../src/protocol/protocol.js'
import type { Plan } from '../../src/plan/plan.js'
import type { Report } from '../../src/report/report.js'
import type { Event, EventRecord } from '../../src/journal/event.js'
import type { Guest, GuestProcess, RunOptions } from './guest.js'

/** As JSON carries it: bytes are decimal strings. */
export type Json<T> = T extends bigint
  ? string
  : T extends readonly (infer E)[]
    ? readonly Json<E>[]
    : T extends object
      ? { readonly [K in keyof T]: Json<T[K]> }
      : T

export interface RunResult {
  readonly run: string
  readonly outcome: string
  readonly journal: string
  readonly report: Json<Report>
}

/** What a command left behind. */
export interface FerryRun<R> {
  readonly exit: number | null
  readonly stderr: string
  readonly result: R
  /** Undefined when the command succeeded. */
  readonly error: ErrorBody | undefined
  readonly warnings: readonly string[]
}

export type Env = Readonly<Record<string, string>>

/** FERRY_LAB_HELPER names a helper built elsewhere; the guest sees the host's files at their own paths. */
const helper = process.env['FERRY_LAB_HELPER']

export function ferryEnv(env: Env = {}): Env {
  return { ...(helper === undefined ? {} : { FERRY_HELPER: helper }), ...env }
}

/** Runs a command with --json. Its exit code is that of the envelope, and nothing is on stdout beside it. */
export async function ferry<R>(
  guest: Guest,
  args: readonly string[],
  env: Env = {},
  options: Omit<RunOptions, 'env'> & { readonly program?: readonly string[] } = {},
): Promise<FerryRun<R>> {
  const { program = ['ferry'], ...rest } = options
  const done = await guest.run([...program, ...args, '--json'], { ...rest, env: ferryEnv(env) })
  return parse(args, done)
}

/** The end of a command that was started with `guest.start`. */
export async function ended<R>(args: readonly string[], process: GuestProcess): Promise<FerryRun<R>> {
  return parse(args, await process.wait())
}

/** Starts a command with --json and comes back at once. */
export function startFerry(guest: Guest, args: readonly string[], env: Env = {}): Promise<GuestProcess> {
  return guest.start(['ferry', ...args, '--json'], { env: ferryEnv(env), timeoutMs: 120_000 })
}

function parse<R>(
  args: readonly string[],
  done: {
    readonly exit: number | null
    readonly signal: string | null
    readonly stdout: string
    readonly stderr: string
  },
): FerryRun<R> {
  let envelope: Envelope & { readonly error?: ErrorBody }
  try {
    envelope = JSON.parse(done.stdout) as typeof envelope
  } catch {
    throw new Error(
      `ferry ${args.join(' ')} (${String(done.exit ?? done.signal)}) printed no envelope:\n${done.stdout}${done.stderr}`,
    )
  }
  expect({ command: envelope.command, exit: envelope.exit }).toEqual({ command: args[0], exit: done.exit })
  expect(envelope.status).toBe(done.exit === 0 ? 'ok' : 'error')
  return {
    exit: done.exit,
    stderr: done.stderr,
    result: envelope.result as R,
    error: envelope.error,
    warnings: envelope.warnings,
  }
}

/** Throws with what ferry said, instead of a bare difference of exit codes. */
export function expectExit(run: FerryRun<unknown>, exit: number): void {
  if (run.exit === exit) return
  const { error, result, stderr } = run
  const report = (result as { readonly report?: { readonly failedSteps?: unknown } } | null)?.report
  const shown = { error, failedSteps: report?.failedSteps, stderr }
  throw new Error(`exit ${String(run.exit)} instead of ${String(exit)}: ${JSON.stringify(shown, null, 2)}`)
}

export const codesOf = (run: FerryRun<unknown>): readonly string[] => [
  ...new Set(run.error?.reasons.map((reason) => reason.code)),
]

export async function devices(
  guest: Guest,
  args: readonly string[] = [],
): Promise<Json<Inventory> & { find(id: string): Json<InventoryDevice> }> {
  const run = await ferry<Json<Inventory>>(guest, ['devices', ...args])
  expectExit(run, 0)
  return { ...run.result, find: (id) => found(run.result, id) }
}

export function found(inventory: Json<Inventory>, id: string): Json<InventoryDevice> {
  const device = inventory.devices.find((entry) => entry.id === id)
  if (device === undefined) throw new Error(`${id} is not listed: ${JSON.stringify(inventory, null, 1)}`)
  return device
}

export type PlanResult = { readonly plan: Json<Plan> }

export async function journal(guest: Guest, path: string): Promise<readonly EventRecord[]> {
  const text = await guest.ok(['cat', path])
  return text.split('\n').map((line) => JSON.parse(line) as EventRecord)
}

export function bodies<T extends Event['type']>(
  records: readonly EventRecord[],
  type: T,
): readonly Extract<Event, { readonly type: T }>[] {
  return records.flatMap(({ body }) =>
    body.type === type ? [body as Extract<Event, { readonly type: T }>] : [],
  )
}

/** The states a side's devices were seen to enter, in order. */
export function statesOf(records: readonly EventRecord[], side: Role): readonly string[] {
  return bodies(records, 'helper').flatMap((body) => {
    const event: HelperEvent = body.event
    return body.side === side && event.event === 'device-state' ? [event.to] : []
  })
}

/** Journals and locks of this guest: what a run leaves, and a refusal must not. */
export async function traces(guest: Guest): Promise<string> {
  return guest.ok('find /run/ferry "$HOME/.local/state/ferry" -type f 2>/dev/null | sort; true')
}

/** Processes that have a VFIO node open, by the kernel's word. */
export async function vfioUsers(guest: Guest): Promise<string> {
  return guest.ok(
    'for fd in /proc/[0-9]*/fd/*; do t=$(readlink "$fd") && case $t in /dev/vfio/*|*vfio-device*|/dev/iommu) echo "$fd $t";; esac; done; true',
  )
}
