// Device kind x backend x tracker: what Ferry does with each, as docs/kernel-tracking.md prints it and dma-table.lab.ts proves it.
import type { DmaKind } from './dma.js'

export interface Cell {
  readonly kind: DmaKind
  readonly backend: 'type1' | 'iommufd'
  readonly tracker: 'pinned' | 'device' | 'iommu' | 'all'
  /** Moved under load with nothing lost, or the code of the refusal: the plan's, or the profile's if it can never be. */
  readonly outcome: 'moved' | `plan/${string}` | 'profile/impossible-choice'
}

const KINDS: Readonly<
  Record<DmaKind, Readonly<Record<Cell['tracker'], readonly [Cell['outcome'], Cell['outcome']]>>>
> = {
  // Each: type1, iommufd.
  mdev: {
    pinned: ['moved', 'profile/impossible-choice'],
    device: ['plan/tracker-unavailable', 'plan/tracker-unavailable'],
    iommu: ['profile/impossible-choice', 'plan/tracker-unavailable'],
    all: ['moved', 'moved'],
  },
  'logged-mdev': {
    pinned: ['moved', 'profile/impossible-choice'],
    device: ['moved', 'moved'],
    iommu: ['profile/impossible-choice', 'plan/tracker-unavailable'],
    all: ['moved', 'moved'],
  },
  edu: {
    pinned: ['plan/pinned-needs-emulated', 'profile/impossible-choice'],
    device: ['moved', 'moved'],
    iommu: ['profile/impossible-choice', 'plan/tracker-unavailable'],
    all: ['moved', 'moved'],
  },
  dirty: {
    pinned: ['plan/pinned-needs-emulated', 'profile/impossible-choice'],
    device: ['plan/tracker-unavailable', 'plan/tracker-unavailable'],
    iommu: ['profile/impossible-choice', 'moved'],
    all: ['moved', 'moved'],
  },
  both: {
    pinned: ['plan/pinned-needs-emulated', 'profile/impossible-choice'],
    device: ['moved', 'moved'],
    iommu: ['profile/impossible-choice', 'moved'],
    all: ['moved', 'moved'],
  },
}

export const CELLS: readonly Cell[] = Object.entries(KINDS).flatMap(([kind, trackers]) =>
  Object.entries(trackers).flatMap(([tracker, outcomes]) =>
    (['type1', 'iommufd'] as const).map(
      (backend, index) => ({ kind, backend, tracker, outcome: outcomes[index] }) as Cell,
    ),
  ),
)

const NAMES: Readonly<Record<DmaKind, string>> = {
  mdev: 'mdev',
  'logged-mdev': 'mdev with a DMA log',
  edu: 'function with a DMA log',
  dirty: 'function behind an IOMMU with dirty bits',
  both: 'function with a DMA log behind an IOMMU with dirty bits',
}

/** The rows of the table in docs/kernel-tracking.md. */
export function tableRows(): readonly string[] {
  return Object.entries(KINDS)
    .flatMap(([kind, trackers]) =>
      (['type1', 'iommufd'] as const).map((backend, index) => {
        const cells = Object.values(trackers).map((outcomes) => outcomes[index])
        const shown = cells.map((cell) => (cell === 'moved' ? 'moved' : `\`${String(cell)}\``))
        return [NAMES[kind as DmaKind], backend, ...shown]
      }),
    )
    .map((cells) => cells.join(' | '))
}
