import type { Inventory, Reason } from '../inventory/inventory.js'
import type { BackendKind, Op, Requests, Role, TrackerKind } from '../link/protocol.js'

/** What will happen, decided before anything is opened. */
export interface Plan {
  readonly profile: string
  readonly pageSize: number
  readonly pairs: readonly DevicePair[]
  readonly containers: readonly PlanContainer[]
  readonly trackers: readonly PlanTracker[]
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
  readonly reason: string
  readonly refused: readonly { readonly kind: TrackerKind; readonly code: string; readonly reason: string }[]
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
  readonly [K in Op]: {
    readonly phase: PhaseName
    readonly side: Role
    readonly op: K
    readonly params: Requests[K]['params']
    readonly undo?: UndoStep
    /** What a person reads: "map 512 MiB for vgpu-0 (type1)". */
    readonly text: string
  }
}[Op]
export interface UndoStep {
  readonly op: Op
  readonly params: Requests[Op]['params']
}
export type PhaseName = 'pin' | 'dirty-log' | 'pre-copy' | 'cutover' | 'commit' | 'rollback'
