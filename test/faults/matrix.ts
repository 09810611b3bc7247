/** The run that a cell breaks: where it happens, what is done to it there, and what mends it. */
import { execa } from 'execa'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gone, Journal, Scene, type Ended, type Running } from '../support/scene.js'
import { device, region, workload, type Fault as SimFault, type Workload } from '../support/workload.js'
import {
  closeGroup,
  fill,
  giveMemory,
  groupOf,
  mendDisk,
  noMemory,
  ownFileSystem,
  readOnly,
  unmountAll,
} from './machine.js'
import { helperOf } from './look.js'
import type { Bad, Network, Reach } from './network.js'

/** No command of a cell takes this long; one that does has no end, and is a failure with a name. */
const ENDLESS_MS = 150_000
const AT_RECORD = fileURLToPath(new URL('at-record.mjs', import.meta.url))

type Side = 'source' | 'destination'

/** What is done at a record: see `act` in at-record.mjs. */
export interface Does {
  readonly who?: 'ferry' | Side
  readonly signal?: NodeJS.Signals
  readonly times?: number
  readonly stopMs?: number
  readonly limit?: string
  readonly errno?: string
  readonly backMs?: number
  readonly edit?: true
  readonly run?: 'migrate'
  /** The signal is for every ssh to this side's host. */
  readonly ssh?: Side
  /** The stdin of this process ends; of the helper, or of ssh before it. */
  readonly stdin?: 'ferry' | Side
  /** `who` is put into a cgroup that has no memory to give. */
  readonly noMemory?: true
  /** The file system of `who`'s state folder is full, or what it has there becomes read-only. */
  readonly disk?: 'full' | 'read-only'
  /** A cable is bad; it makes the run one between two hosts. */
  readonly cable?: { readonly reach: Reach; readonly bad: Bad }
}
export interface Break {
  readonly at: string
  readonly nth?: number
  readonly does: Does
}
export interface Cell {
  readonly name: string
  readonly breaks: readonly Break[]
  /** Faults of the devices themselves. */
  readonly sim?: { readonly source?: readonly SimFault[]; readonly destination?: readonly SimFault[] }
  /** A fault may come too late to be made: what it breaks has ended by another one. */
  readonly mayMiss?: true
  /** `recover` must go on with the run to its end. */
  readonly goesOn?: true
  /** Where its time-outs would be long. */
  readonly migration?: Readonly<Record<string, unknown>>
}

/** Cells that need two hosts: a cable or an ssh breaks. */
export function needsNetwork({ breaks }: Cell): boolean {
  return breaks.some(({ does: { cable, ssh } }) => cable !== undefined || ssh !== undefined)
}

/** Namespaces, mounts and cgroups do. */
export function needsRoot(cell: Cell): boolean {
  return (
    needsNetwork(cell) || cell.breaks.some(({ does }) => does.disk !== undefined || does.noMemory === true)
  )
}

/** Where a run happens: on this host, or between two. */
export interface Place {
  readonly folder: string
  readonly stateDir: string
  ferry(args: readonly string[], env?: Readonly<Record<string, string>>): Running
  runs(): string[]
  profile(workload: Workload): string
}

/** What ended; a command without end is killed, and fails. */
async function ends(run: Running, command: string): Promise<Ended> {
  let late: NodeJS.Timeout | undefined
  const endless = new Promise<never>((_, reject) => {
    late = setTimeout(() => {
      run.kill('SIGKILL')
      reject(new Error(`ferry ${command} did not end within ${ENDLESS_MS / 1000} s`))
    }, ENDLESS_MS)
  })
  try {
    return await Promise.race([run.ended, endless])
  } finally {
    clearTimeout(late)
  }
}

export class Matrix {
  readonly scene: Place
  readonly a: string
  readonly b: string
  readonly path: string
  private readonly network: Network | undefined

  constructor({ breaks, migration, sim }: Omit<Cell, 'name'>, network?: Network) {
    this.network = network
    this.scene = network?.place() ?? new Scene()
    this.a = join(this.scene.folder, 'a')
    this.b = join(this.scene.folder, 'b')
    const small = { window: { iova: 0, size: '1MiB' }, state: '128KiB', precopy: '32KiB', writes: '4MiB/s' }
    const faults = (side: Side) => ({ faults: sim?.[side] ?? [] })
    const hosts = network?.sides() ?? { source: {}, destination: {}, transport: { loopback: true } }
    this.path = this.scene.profile(
      workload([device('nic', small, { source: faults('source'), destination: faults('destination') })], {
        memory: [region('ram', 0, '2MiB')],
        transport: { ...hosts.transport, keepalive: '2s' },
        source: { ...hosts.source, stateDir: this.a, from: 'holder' },
        destination: { ...hosts.destination, stateDir: this.b, then: 'hold' },
        migration: { linkTimeout: '3s', grace: null, ...migration },
        ...{ releaseSource: 'on-commit' },
      }),
    )
    for (const { does } of breaks) if (does.disk === 'full') ownFileSystem(this.stateOf(does.who))
  }

  ferry(...args: string[]): Promise<Ended> {
    return ends(this.scene.ferry([...args, '--json']), args.join(' '))
  }

  /** The run with its faults. */
  async migrate(breaks: readonly Break[]): Promise<Ended> {
    const { a: source, b: destination } = this
    const faults = breaks.map(({ does, ...at }) => ({
      ...at,
      does: {
        ...does,
        command: this.command(does),
        ...(does.edit && { edit: this.path }),
        ...(does.run && {
          run: [does.run, this.path, '--json', '--state-dir', join(this.scene.folder, 'second')],
        }),
      },
    }))
    const sides = { source, destination, folder: this.scene.folder }
    const run = this.scene.ferry(['migrate', this.path, '--json'], {
      NODE_OPTIONS: `--import=${AT_RECORD}`,
      FERRY_FAULTS_AT: JSON.stringify({ faults, sides }),
    })
    const asked = join(this.scene.folder, 'close-stdin')
    const look = setInterval(() => existsSync(asked) && run.closeInput(), 10)
    try {
      return await ends(run, 'migrate')
    } finally {
      clearInterval(look)
    }
  }

  private command({ cable, disk, noMemory: takesMemory, who }: Does): string | undefined {
    if (cable !== undefined) return this.network?.command(cable.reach, cable.bad)
    if (takesMemory) return noMemory(groupOf(this.scene.folder))
    if (disk === 'full') return fill(this.stateOf(who))
    return disk === 'read-only' ? readOnly(this.stateOf(who)) : undefined
  }

  private stateOf(who: 'ferry' | Side | undefined): string {
    return who === 'ferry' ? this.scene.stateDir : who === 'source' ? this.a : this.b
  }

  /** Of this run; by default the first: names of the same second have no order. */
  journal(run?: string): Journal {
    const names = this.scene.runs().filter((name) => run === undefined || name === `${run}.ndjson`)
    const [name] = names.map((file) => join(this.scene.stateDir, 'runs', file))
    if (name === undefined) throw new Error('no run')
    return new Journal(name)
  }

  /** What a fault took from a helper, it has again: space, descriptors, its cables. */
  async mend(): Promise<void> {
    const limits = ['--fsize=unlimited:', '--nofile=1024:', '--as=unlimited:']
    for (const side of [this.a, this.b]) {
      const pid = helperOf(side)
      if (pid !== undefined) await execa('prlimit', [`--pid=${pid}`, ...limits])
    }
    await this.network?.mend()
    for (const folder of [this.a, this.b, this.scene.stateDir]) mendDisk(folder)
    giveMemory(groupOf(this.scene.folder))
  }

  async end(): Promise<void> {
    for (const side of [this.a, this.b]) {
      const pid = helperOf(side)
      if (pid === undefined) continue
      process.kill(pid, 'SIGCONT')
      process.kill(pid, 'SIGKILL')
      await gone(pid)
    }
    closeGroup(groupOf(this.scene.folder))
    unmountAll(this.scene.folder)
  }
}
