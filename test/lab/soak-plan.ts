// One randomized run of the soak: which devices, what they write, which fault, all from one seed.
import type { DmaKind, PinMode, Pattern, Program } from './dma.js'
import { MIB } from './workload.js'

/** What a fault lets a run end in. A run without one, or with one that does not bite, must move. */
type Fault = {
  readonly name: string
  readonly side: 'from' | 'to'
  readonly knobs: Readonly<Record<string, string | number>>
  readonly exits: readonly number[]
  /** File in debugfs that counts down to it: "0 …" afterwards says that it has struck. */
  readonly countdown?: 'fail_transition' | 'error_transition'
}

export interface SoakPart {
  readonly kind: DmaKind
  readonly backend: 'type1' | 'iommufd' | undefined
  readonly tracker: 'all' | undefined
  readonly program: Program
  readonly quirks: Readonly<Record<string, string | number>>
}
export interface SoakRun {
  readonly seed: number
  readonly parts: readonly SoakPart[]
  readonly huge: boolean
  readonly verify: 'full' | 'none'
  readonly encrypt: boolean
  /** Which part it befalls. */
  readonly fault: (Fault & { readonly part: number }) | undefined
}

const EIO = 5
const [EFAULT, ENOMEM, EBUSY] = [14, 12, 16]

/** Arc numbers reach a little past those a run takes, so that some faults never bite. */
const FAULTS: readonly ((dice: Dice) => Fault)[] = [
  (dice) => ({
    name: 'transition',
    side: 'from',
    knobs: { fail_transition: `"${String(1 + dice.below(5))} ${String(dice.pick([EIO, EBUSY]))}"` },
    exits: [0, 5],
    countdown: 'fail_transition',
  }),
  (dice) => ({
    name: 'transition',
    side: 'to',
    knobs: { fail_transition: `"${String(1 + dice.below(7))} ${String(EIO)}"` },
    // After the commit there is no way back: a device that does not start needs a person.
    exits: [0, 5, 6],
    countdown: 'fail_transition',
  }),
  (dice) => ({
    name: 'error',
    side: 'from',
    knobs: { error_transition: 1 + dice.below(4) },
    exits: [0, 5, 6],
    countdown: 'error_transition',
  }),
  (dice) => ({
    name: 'error',
    side: 'to',
    knobs: { error_transition: 1 + dice.below(7) },
    exits: [0, 5, 6],
    countdown: 'error_transition',
  }),
  (dice) => ({
    name: 'stall',
    side: dice.pick(['from', 'to'] as const),
    knobs: { stall_transition: `"${String(1 + dice.below(5))} ${String(200 + dice.below(1500))}"` },
    exits: [0, 7],
  }),
  (dice) => ({ name: 'short stream', side: 'from', knobs: { short_stream: 1 + dice.below(64) }, exits: [5] }),
  () => ({ name: 'endless stream', side: 'from', knobs: { endless_stream: 1 }, exits: [5, 7] }),
  (dice) => ({
    name: 'load error',
    side: 'to',
    knobs: { load_error: dice.pick([EFAULT, ENOMEM]) },
    exits: [5],
  }),
  () => ({ name: 'log error', side: 'from', knobs: { log_error: EIO }, exits: [0, 5] }),
]

/** mulberry32: small, and the same everywhere. */
export class Dice {
  #state: number
  constructor(seed: number) {
    this.#state = seed >>> 0
  }
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 15), word | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) % limit
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }
  chance(percent: number): boolean {
    return this.below(100) < percent
  }
}

const KINDS: readonly DmaKind[] = ['mdev', 'logged-mdev', 'edu', 'dirty', 'both']
const MODES: readonly PinMode[] = ['pin-keep', 'rw', 'pin-each']
const PATTERNS: readonly Pattern[] = ['uniform', 'hot', 'sequential']

/** At most one edu and two of the others: as many as a lane of the soak has. */
function kinds(dice: Dice): readonly DmaKind[] {
  const left = new Map(KINDS.map((kind) => [kind, kind === 'edu' ? 1 : 2]))
  return Array.from({ length: dice.pick([1, 1, 2, 2, 3]) }, () => {
    const kind = dice.pick(KINDS.filter((each) => (left.get(each) ?? 0) > 0))
    left.set(kind, (left.get(kind) ?? 0) - 1)
    return kind
  })
}

export function soakRun(seed: number): SoakRun {
  const dice = new Dice(seed)
  const parts = kinds(dice).map((kind, slot): SoakPart => {
    const mdev = kind === 'mdev' || kind === 'logged-mdev'
    const logged = kind === 'logged-mdev' || kind === 'both'
    const backend = dice.pick(['type1', 'iommufd', undefined] as const)
    return {
      kind,
      backend,
      tracker: dice.chance(15) ? 'all' : undefined,
      program: {
        ...{ slot, seed: dice.below(1_000_000), window: BigInt(dice.below(5)) * 2n * MIB },
        bytes: dice.chance(20) ? BigInt(1 + dice.below(40)) * 4096n : BigInt(1 + dice.below(4)) * 2n * MIB,
        ...{ pattern: dice.pick(PATTERNS), rate: dice.pick([0, 65_536, 1 << 20, 8 << 20]) },
        state: dice.pick([0, 1, 4095, 65_536, 2_000_003]),
        ...(mdev && { mode: dice.pick(MODES) }),
      },
      quirks: {
        precopy_end: dice.pick([42, 0]),
        ...(logged && dice.chance(50) && { log_max_ranges: 1 + dice.below(4) }),
        ...(logged && dice.chance(30) && { log_min_page: 65_536, log_max_page: 65_536 }),
        // Without PRE_COPY, without P2P (which several devices need), without both.
        ...(dice.chance(20) && { flags: dice.pick([3, 3, 5, 1]) }),
      },
    }
  })
  const fault = dice.chance(50) ? { ...dice.pick(FAULTS)(dice), part: dice.below(parts.length) } : undefined
  return {
    ...{ seed, parts, fault, huge: dice.chance(25), encrypt: dice.chance(50) },
    verify: dice.pick(['full', 'none']),
  }
}

/** One line: enough to know what a seed did. */
export function describeRun({ encrypt, fault, huge, parts, seed, verify }: SoakRun): string {
  const shown = parts.map(({ backend, kind, program, quirks, tracker }) =>
    [
      kind,
      backend ?? 'auto',
      ...(tracker === undefined ? [] : [tracker]),
      ...(program.mode === undefined ? [] : [program.mode]),
      program.pattern,
      `${String(program.bytes / 4096n)} pages`,
      program.rate === 0 ? 'unpaced' : `${String(program.rate / 4096)}/s`,
      `state ${String(program.state)}`,
      ...Object.entries(quirks).map(([name, value]) => `${name}=${String(value)}`),
    ].join(' '),
  )
  const words = [...(huge ? ['2 MiB pages'] : []), `verify ${verify}`, encrypt ? 'TLS' : 'plain']
  const fell =
    fault === undefined
      ? 'no fault'
      : `${fault.name} ${fault.side} ${String(fault.part)} ${JSON.stringify(fault.knobs)}`
  return `seed ${String(seed)}: ${shown.join(' + ')}; ${words.join(', ')}; ${fell}`
}
