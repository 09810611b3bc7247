/** One cell of the matrix: a run between two holders in which something breaks, ended by `recover`, judged from outside. */
import { execa } from 'execa'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply } from '../../src/protocol/protocol.js'
import { gone, isRunning, Journal, Scene, type Ended } from '../support/scene.js'
import { device, region, workload, type Fault as SimFault } from '../support/workload.js'
import { helperOf, leftIn, threadsOf, writes } from './look.js'

const AT_RECORD = fileURLToPath(new URL('at-record.mjs', import.meta.url))

/** What is done at a record: see `act` in at-record.mjs. */
export interface Does {
  readonly who?: 'ferry' | 'source' | 'destination'
  readonly signal?: NodeJS.Signals
  readonly times?: number
  readonly stopMs?: number
  readonly limit?: string
  readonly errno?: string
  readonly backMs?: number
  readonly edit?: true
  readonly run?: 'migrate'
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
}

/** Safe ends, by exit code: the workload runs on one side, or a person is told that it runs on none. */
const MOVED = new Set<number | undefined>([EXIT.done])
const BACK = new Set<number | undefined>([
  EXIT.cancelled,
  EXIT.rolledBack,
  EXIT.downtimeLimit,
  EXIT.error,
  EXIT.blocked,
])

export class Matrix {
  readonly scene = new Scene()
  readonly a = join(this.scene.folder, 'a')
  readonly b = join(this.scene.folder, 'b')
  readonly path: string

  constructor({ sim }: Pick<Cell, 'sim'>) {
    const small = { window: { iova: 0, size: '1MiB' }, state: '128KiB', precopy: '32KiB', writes: '4MiB/s' }
    const faults = (side: 'source' | 'destination') => ({ faults: sim?.[side] ?? [] })
    this.path = this.scene.profile(
      workload([device('nic', small, { source: faults('source'), destination: faults('destination') })], {
        memory: [region('ram', 0, '2MiB')],
        transport: { loopback: true, keepalive: '2s' },
        source: { stateDir: this.a, from: 'holder' },
        destination: { stateDir: this.b, then: 'hold' },
        migration: { linkTimeout: '3s', grace: null },
        ...{ releaseSource: 'on-commit' },
      }),
    )
  }

  ferry(...args: string[]): Promise<Ended> {
    return this.scene.ferry([...args, '--json']).ended
  }

  /** The run with its faults. */
  migrate(breaks: readonly Break[]): Promise<Ended> {
    const { a: source, b: destination } = this
    const faults = breaks.map(({ does, ...at }) => ({
      ...at,
      does: {
        ...does,
        ...(does.edit && { edit: this.path }),
        ...(does.run && {
          run: [does.run, this.path, '--json', '--state-dir', join(this.scene.folder, 'second')],
        }),
      },
    }))
    const sides = { source, destination, folder: this.scene.folder }
    return this.scene.ferry(['migrate', this.path, '--json'], {
      NODE_OPTIONS: `--import=${AT_RECORD}`,
      FERRY_FAULTS_AT: JSON.stringify({ faults, sides }),
    }).ended
  }

  /** Of this run; by default the first: names of the same second have no order. */
  journal(run?: string): Journal {
    const names = this.scene.runs().filter((name) => run === undefined || name === `${run}.ndjson`)
    const [name] = names.map((file) => join(this.scene.stateDir, 'runs', file))
    if (name === undefined) throw new Error('no run')
    return new Journal(name)
  }

  /** What a fault took from a helper, it has again: space, descriptors. */
  async mend(): Promise<void> {
    for (const side of [this.a, this.b]) {
      const pid = helperOf(side)
      if (pid !== undefined) await execa('prlimit', [`--pid=${pid}`, '--fsize=unlimited:', '--nofile=1024:'])
    }
  }

  end(): void {
    for (const side of [this.a, this.b]) {
      const pid = helperOf(side)
      if (pid === undefined) continue
      process.kill(pid, 'SIGCONT')
      process.kill(pid, 'SIGKILL')
    }
  }
}

/** Runs it; the list says what did not hold, and is empty when all did. */
export async function run(cell: Cell): Promise<readonly string[]> {
  const matrix = new Matrix(cell)
  const wrong: string[] = []
  const must = (holds: boolean, what: string): void => void (holds || wrong.push(what))
  try {
    const profile = readFileSync(matrix.path, 'utf8')
    const held = await matrix.ferry('hold', matrix.path)
    if (held.exit !== EXIT.done) return [`hold: ${held.stdout}`]
    const holder = helperOf(matrix.a)
    const threads = holder === undefined ? 0 : threadsOf(holder)
    const ran = await matrix.migrate(cell.breaks)
    // However it was edited meanwhile, the next run is the one that was written.
    writeFileSync(matrix.path, profile)
    must(!existsSync(join(matrix.scene.folder, 'not-injected')), 'the fault could not be made')
    must(ran.exit !== EXIT.error || ran.envelope !== null, `it broke: ${ran.stderr}`)
    must(ran.exit !== EXIT.sidesDisagree, 'the sides disagree')
    if (ran.envelope !== null) must(ran.envelope.exit === ran.exit, 'envelope and exit code differ')
    // A helper that was stopped may wake up only now.
    const stopMs = Math.max(0, ...cell.breaks.map(({ does }) => does.stopMs ?? 0))
    if (stopMs > 0) await new Promise((resolve) => setTimeout(resolve, stopMs))
    await matrix.mend()
    const last = matrix.scene.runs().length > 0 ? await matrix.ferry('recover', 'last') : ran
    const said = `ended ${String(ran.exit ?? ran.signal)} (${code(ran)}), recovered ${String(last.exit)} (${code(last)})`

    const [source, destination] = [helperOf(matrix.a), helperOf(matrix.b)]
    const [here, there] = await Promise.all([writes(source), writes(destination)])
    const where = `${said}; the source ${here ? 'writes' : 'does not write'}, the destination ${there ? 'writes' : 'does not write'}`
    must(!(here && there), `both sides run: ${where}`)
    if (MOVED.has(last.exit)) {
      const check = matrix.journal().answers('destination', 'check').at(-1)?.reply as CheckReply | undefined
      must(check === undefined || check.lostPages === 0, `pages are lost: ${JSON.stringify(check)}`)
      must(!here && (there || dead(cell, 'destination')), `moved: ${where}`)
    } else if (BACK.has(last.exit)) {
      const second = existsSync(join(matrix.scene.folder, 'second-exit'))
      must((here && !there) || dead(cell, 'source') || second, `back: ${where}`)
      if (here && source !== undefined) {
        must(source === holder, 'another process has the source')
        must(threadsOf(source) <= threads, `threads are left: ${threadsOf(source)}, not ${threads}`)
      }
    } else {
      // Nobody is left to ask when a helper was killed; else nothing stays open.
      must(last.exit === EXIT.needsPerson && broken(cell), where)
    }
    readable(matrix, last, must)
    if (here) {
      const again = await matrix.ferry('migrate', matrix.path)
      must(again.exit === EXIT.done || cell.sim !== undefined, `it cannot be moved any more: ${again.stdout}`)
      if (again.exit === EXIT.done) {
        const check = matrix.journal(again.envelope?.result.run).answers('destination', 'check').at(-1)
          ?.reply as CheckReply
        must(check.lostPages === 0, `pages were lost before: ${JSON.stringify(check)}`)
        must(await writes(helperOf(matrix.b)), 'moved again, and does not run')
      }
    }
    // What a person must look at is abandoned by one.
    if (last.exit === EXIT.needsPerson) await matrix.ferry('release', 'last', '--give-up')
    await leaves(matrix, must)
  } catch (error) {
    wrong.push(String(error))
  } finally {
    matrix.end()
  }
  return wrong
}

function code(ended: Ended): string {
  return (
    (ended.envelope?.error?.code as string | undefined) ??
    ended.envelope?.result?.outcome ??
    ended.envelope?.result?.did ??
    ''
  )
}

/** A side whose helper a fault ended. */
function dead({ breaks }: Cell, side: 'source' | 'destination'): boolean {
  return breaks.some(
    ({ does }) => does.who === side && (does.signal === 'SIGKILL' || does.signal === 'SIGTERM'),
  )
}

/** Something a person must look at can come of it. */
function broken(cell: Cell): boolean {
  return cell.sim !== undefined || dead(cell, 'source') || dead(cell, 'destination')
}

/** The journal can be read, and ends as was said. */
function readable(matrix: Matrix, last: Ended, must: (holds: boolean, what: string) => void): void {
  if (matrix.scene.runs().length === 0) return
  const end = matrix.journal().end()
  must(
    end === undefined || last.exit === EXIT.error || end.exit === last.exit,
    `the journal ends ${String(end?.exit)}, not ${String(last.exit)}`,
  )
}

/** Once both holders are closed nothing is there any more: no process, no socket, no mark of a run. */
async function leaves(matrix: Matrix, must: (holds: boolean, what: string) => void): Promise<void> {
  for (const [side, folder] of [
    ['source', matrix.a],
    ['destination', matrix.b],
  ] as const) {
    const pid = helperOf(folder)
    if (pid === undefined) continue
    const released = await matrix.ferry('release', '--hold', matrix.path, '--side', side)
    if (released.exit === EXIT.done) await gone(pid)
    must(!isRunning(pid), `the ${side}'s helper stays: ${released.stdout}`)
  }
  const { a, b, scene } = matrix
  const folders = [
    join(a, 'sockets'),
    join(b, 'sockets'),
    join(a, 'holders'),
    join(b, 'holders'),
    join(scene.stateDir, 'driven'),
  ]
  // A process that is killed cleans nothing up; what it leaves is taken over.
  const left = leftIn(...folders).filter((path) => !path.endsWith('.sock') && !path.includes('/driven/'))
  must(left.length === 0, `left: ${left.join(', ')}`)
}
