import type { Inventory, Reason } from '../inventory/inventory.js'
import type { BackendKind, Op, Requests, Role, TrackerKind } from '../protocol/protocol.js'
import type { TrackerCost } from './tracker-cost.js'

/** What will happen, decided before anything is opened. */
export interface Plan {
  readonly profile: string
  readonly pageSize: number
  readonly pairs: readonly DevicePair[]
  readonly containers: readonly PlanContainer[]
  readonly trackers: readonly PlanTracker[]
  /** One for each device of the profile, in its order: who sees its writes, and why. */
  readonly choices: readonly DeviceChoice[]
  readonly steps: readonly Step[]
  readonly forecast: Forecast
  /** All blockers at once; the plan can run only when this is empty. */
  readonly blockers: readonly Blocker[]
  readonly warnings: readonly Blocker[]
  readonly inventories: { readonly source: Inventory; readonly destination: Inventory }
}
export interface Blocker extends Reason {
  readonly side: Role | 'both' | 'profile'
  readonly device: string | null
}
export interface DevicePair {
  readonly device: string
  readonly source: string
  readonly destination: string
  readonly backend: BackendKind
  readonly stateBytes: bigint | null
}
export interface PlanContainer {
  readonly container: string
  readonly side: Role
  readonly backend: BackendKind
  readonly dirtyTracking: boolean
  /** Emulated and physical groups in one type1 (or simulated) container: its pinned scope is every page. */
  readonly mixed: boolean
  readonly devices: readonly string[]
  readonly reason: string
}
export interface PlanTracker {
  readonly tracker: string
  readonly kind: TrackerKind
  readonly device: string | null
  readonly container: string | null
  /** Devices whose writes this tracker sees. */
  readonly covers: readonly string[]
  /** It reports every mapped page at every read, so nothing it says tells what was written. */
  readonly everyPage: boolean
  readonly reason: string
  readonly refused: readonly TrackerRefusal[]
}
export interface TrackerRefusal {
  readonly kind: TrackerKind
  readonly code: string
  readonly reason: string
}
/** The tracker of one device with everything that was weighed. */
export interface DeviceChoice {
  readonly device: string
  /** Null: none is left, and a blocker says why. */
  readonly kind: TrackerKind | null
  /** The plan's tracker by name; null with `kind`. */
  readonly tracker: string | null
  readonly backend: BackendKind
  readonly container: string | null
  /** The reason in a few words. */
  readonly brief: string
  readonly reason: string
  readonly refused: readonly TrackerRefusal[]
  readonly cost: TrackerCost | null
  /** Why its container holds what it holds; null when it is in none. */
  readonly partition: string | null
}
export interface Forecast {
  readonly memoryBytes: bigint
  readonly stateBytes: bigint | null
  /** Pages each round cannot get below (tracker all), in bytes. */
  readonly floorBytes: bigint
  readonly fixedBlackoutUs: number
  readonly notes: readonly string[]
}
/** One request to one helper, as data. The runner journals intent and outcome of each and undoes in reverse. */
export type Step = {
  readonly [K in PlannedOp]: {
    readonly phase: PhaseName
    readonly side: Role
    readonly op: K
    readonly params: Requests[K]['params']
    readonly undo?: UndoStep
    /** What a person reads: "map 512 MiB for vgpu-0 (type1)". */
    readonly text: string
  }
}[PlannedOp]
/** What can be known before a run; the phases make the rest from ports and secrets. */
export type PlannedOp = 'claim' | 'memory' | 'container' | 'device' | 'map' | 'track'
export interface UndoStep {
  readonly op: Op
  readonly params: Requests[Op]['params']
}
export type PhaseName = 'pin' | 'dirty-log' | 'pre-copy' | 'cutover' | 'commit' | 'rollback'
