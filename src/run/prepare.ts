/** From a profile to a plan with both helpers waiting: everything before the first change. */
import { collectInventory } from '../inventory/collect.js'
import type { Inventory } from '../inventory/inventory.js'
import { simDevices } from '../inventory/sim-spec.js'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { HelperClient, RequestLog } from '../link/client.js'
import { openHelper, type OpenOptions, ownStateDir, stateDirOf } from '../link/open.js'
import type { HelperErrorBody, HelperEvent, Role } from '../protocol/protocol.js'
import { makePlan } from '../plan/make-plan.js'
import { planOneSide, type OneSide } from '../plan/one-side.js'
import type { Purpose } from '../plan/pairing.js'
import type { Plan } from '../plan/plan.js'
import { holderSocket } from '../plan/sockets.js'
import type { DeviceRef, HostSpec, Profile } from '../profile/profile.js'

export interface PrepareOptions {
  readonly profile: Profile
  /** `measure` and `hold` ask the source alone. */
  readonly purpose: Purpose
  readonly stateDir: string
  /** --helper; for helpers on this host. */
  readonly helper?: string | undefined
  /** When one of two hosts cannot be reached, says of the other what it has, as the error's `result`. */
  readonly partly?: boolean
  /** ferry's own folder. */
  readonly root?: string
  readonly onEvent?: (side: Role, event: HelperEvent) => void
  readonly onProblem?: (side: Role, error: HelperErrorBody) => void
  readonly onStderr?: (side: Role, line: string) => void
  readonly log?: RequestLog | undefined
}
export interface Prepared {
  readonly profile: Profile
  readonly plan: Plan
  readonly source: HelperClient
  readonly destination: HelperClient | null
  /** Ends both helpers and waits until they are gone. */
  close(): Promise<void>
}

/** Opens the helpers, asks what their hosts have, plans. Leaves no helper behind when it throws. */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const roles: readonly Role[] = options.purpose === 'migrate' ? ['source', 'destination'] : ['source']
  const opened = await Promise.allSettled(roles.map((side) => open(side, options)))
  const clients = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const close = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()))
  }
  try {
    const failed = opened.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    const asked = failed.length === 0 || options.partly ? await askAll(clients, options) : []
    failed.push(...asked.flatMap((answer) => ('error' in answer ? [answer.error] : [])))
    const [here, there = null] = asked.flatMap((answer) => ('inventory' in answer ? [answer] : []))
    if (failed.length > 0) throw notAskedError(failed, options.partly ? here : undefined, options.profile)
    const [source, destination = null] = clients
    if (source === undefined || here === undefined) throw new Error('no helper was opened')
    const { profile, purpose } = options
    const stateDir = stateDirOf(source, profile.source, options.stateDir)
    const plan = makePlan(profile, here.inventory, there && there.inventory, {
      stateDir,
      ...(destination !== null && {
        destinationStateDir: stateDirOf(destination, profile.destination, options.stateDir),
      }),
      purpose,
    })
    return { profile, plan, source, destination, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Asked {
  readonly side: Role
  readonly inventory: Inventory
}

/** One after the other: asking opens each device, and on one host the two would find each other's busy. */
async function askAll(
  clients: readonly HelperClient[],
  { profile }: PrepareOptions,
): Promise<readonly (Asked | { readonly error: unknown })[]> {
  const answers = []
  for (const client of clients) {
    const { side } = client
    answers.push(
      await collectInventory(client, {
        // Opening resets many functions: the devices of other workloads are left alone.
        only: profile.devices.flatMap((device) => idOf(device[side])),
        sim: simDevices(profile, side),
      }).then(
        (inventory) => ({ side, inventory }),
        (error: unknown) => ({ error }),
      ),
    )
  }
  return answers
}

/** Result of an error when one host of two was reached. */
export interface ReachedResult {
  readonly reached: OneSide
}

/** Why a plan cannot be made: of both hosts when neither could be asked, else with what the other one has. */
function notAskedError(failed: readonly unknown[], other: Asked | undefined, profile: Profile): unknown {
  const bug = failed.find((error) => !(error instanceof FerryError))
  if (bug !== undefined) return bug
  const [first, second] = failed as readonly FerryError[]
  if (first === undefined) return new Error('nothing failed')
  if (other !== undefined) {
    const reached = planOneSide(profile, other.side, other.inventory)
    return first.with({ result: { reached } satisfies ReachedResult })
  }
  // One cause for both is said once.
  if (second === undefined || second.message === first.message) return first
  const { side: _side, ...facts } = first.info
  return new FerryError({
    ...facts,
    message: 'neither host can be used',
    suggestions: [],
    cause: first,
    reasons: [first, second].map(({ code, message, side, suggestions }) => ({
      code,
      found: message,
      remedy: suggestions.join('; '),
      ...(side !== undefined && { side }),
    })),
  })
}

function idOf(ref: DeviceRef): readonly string[] {
  return ref.kind === 'sim' ? [] : [ref.kind === 'mdev' ? ref.uuid : ref.bdf]
}

/** The helper of a side: a new one, or for a source that is held the holder itself. */
async function open(side: Role, options: PrepareOptions): Promise<HelperClient> {
  const { helper, log, onEvent, onProblem, onStderr, profile, root, stateDir } = options
  const spec = profile[side]
  const common = {
    side,
    helper,
    ...(root !== undefined && { root }),
    keepaliveMs: profile.transport.keepaliveMs,
    log,
    onStderr: (line: string) => onStderr?.(side, line),
  }
  const events = {
    onEvent: (event: HelperEvent) => onEvent?.(side, event),
    onProblem: (error: HelperErrorBody) => onProblem?.(side, error),
  }
  if (side === 'destination' || profile.source.from === 'open') {
    return openHelper(spec, { ...common, ...events })
  }
  const folder = spec.stateDir ?? (spec.host === 'local' ? stateDir : await askStateDir(spec, common))
  return openHelper(spec, { ...common, ...events, attach: holderSocket(folder, profile.name) })
}

/** Where a host keeps its holders, asked of a helper that is started for this alone. */
async function askStateDir(spec: HostSpec, options: OpenOptions): Promise<string> {
  const client = await openHelper(spec, options)
  try {
    return ownStateDir(client, spec.host)
  } finally {
    await client.close()
  }
}

/** The refusal of a plan with blockers: all of them at once. */
export function blockedError(plan: Plan): FerryError {
  const { blockers } = plan
  return new FerryError({
    code: 'plan/blocked',
    exit: EXIT.blocked,
    message: `${plan.profile} cannot be run: ${blockers.length} blocker${blockers.length === 1 ? '' : 's'}; nothing was opened`,
    reasons: blockers,
    suggestions: ['`ferry plan` shows the plan with the choices behind it'],
    result: { plan },
  })
}
