/** One cell of the matrix: a run between two holders in which something breaks, ended by `recover`, judged from outside. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply } from '../../src/protocol/protocol.js'
import { gone, isRunning, type Ended } from '../support/scene.js'
import { helperOf, leftIn, threadsOf, writes } from './look.js'
import { Matrix, type Cell } from './matrix.js'
import type { Network } from './network.js'

/** Longer than every time-out of these profiles. */
const SETTLES_MS = 15_000

/** Safe ends, by exit code: the workload runs on one side, or a person is told that it runs on none. */
const MOVED = new Set<number | undefined>([EXIT.done])
const BACK = new Set<number | undefined>([
  EXIT.cancelled,
  EXIT.rolledBack,
  EXIT.downtimeLimit,
  EXIT.error,
  EXIT.blocked,
])

/** Runs it; the list says what did not hold, and is empty when all did. */
export async function run(cell: Cell, network?: Network): Promise<readonly string[]> {
  const matrix = new Matrix(cell, network)
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
    const made = !existsSync(join(matrix.scene.folder, 'not-injected'))
    must(made || cell.mayMiss === true, 'the fault could not be made')
    must(ran.exit !== EXIT.error || ran.envelope !== null, `it broke: ${ran.stderr}`)
    must(ran.exit !== EXIT.sidesDisagree, 'the sides disagree')
    if (ran.envelope !== null) must(ran.envelope.exit === ran.exit, 'envelope and exit code differ')
    // A helper that was stopped may wake up only now.
    const stopMs = Math.max(0, ...cell.breaks.map(({ does }) => does.stopMs ?? 0))
    if (stopMs > 0) await new Promise((resolve) => setTimeout(resolve, stopMs))
    await matrix.mend()
    const last = matrix.scene.runs().length > 0 ? await matrix.ferry('recover', 'last') : ran
    const said = `ended ${String(ran.exit ?? ran.signal)} (${code(ran)}), recovered ${String(last.exit)} (${code(last)})`

    if (cell.goesOn === true) {
      const did = last.envelope?.result?.did as string | undefined
      must(last.exit === EXIT.done && did === 'go-on', `it did not go on: ${said}, ${String(did)}`)
    }
    if (process.env['FERRY_FAULTS_TOLD'] !== undefined) console.log(cell.name, said)
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
        // A call that never returns has its thread for good; one thread sleeps until the grace is over, whatever came of
        // the run.
        const most = threads + hangs(cell) + (cell.migration?.['grace'] === undefined ? 0 : 1)
        await settled(() => threadsOf(source) <= most)
        must(threadsOf(source) <= most, `threads are left: ${threadsOf(source)}, not ${most}`)
      }
    } else {
      // Nobody is left to ask when a helper was killed; else nothing stays open.
      must(last.exit === EXIT.needsPerson && broken(cell), where)
    }
    readable(matrix, last, must)
    if (here) {
      const again = await matrix.ferry('migrate', matrix.path)
      must(
        again.exit === EXIT.done || cell.sim !== undefined,
        `it cannot be moved any more: ${code(again)}, ${String(again.envelope?.error?.message)}`,
      )
      if (again.exit === EXIT.done) {
        const check = matrix.journal(again.envelope?.result.run).answers('destination', 'check').at(-1)
          ?.reply as CheckReply
        must(check.lostPages === 0, `pages were lost before: ${JSON.stringify(check)}`)
        must(await writes(helperOf(matrix.b)), 'moved again, and does not run')
      }
    }
    // What a person must look at is abandoned by one.
    if (last.exit === EXIT.needsPerson) await matrix.ferry('release', 'last', '--give-up')
    await leaves(matrix, ran, said, must)
  } catch (error) {
    wrong.push(String(error), ...lastRecords(matrix))
  } finally {
    await matrix.end()
  }
  return wrong
}

/** Trackers whose call does not return. */
function hangs(cell: Cell): number {
  return cell.sim?.source?.filter(({ kind }) => kind === 'tracker-hangs').length ?? 0
}

function code(ended: Ended): string {
  return (
    (ended.envelope?.error?.code as string | undefined) ??
    ended.envelope?.result?.outcome ??
    ended.envelope?.result?.did ??
    ''
  )
}

/** Waits for what comes by itself: a connection over a bad cable ends by its own time-out. */
async function settled(look: () => boolean): Promise<void> {
  const until = performance.now() + SETTLES_MS
  while (!look() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Where the newest run was when something went wrong. */
function lastRecords(matrix: Matrix): readonly string[] {
  try {
    const { records } = matrix.journal()
    return records.slice(-5).map(({ atUs, body }) => `${atUs} µs ${JSON.stringify(body).slice(0, 200)}`)
  } catch (error) {
    return [String(error)]
  }
}

/** A process that gets none ends. */
export const NO_MEMORY = '--as=0:'

/** A side whose helper a fault ended. */
function dead({ breaks }: Cell, side: 'source' | 'destination'): boolean {
  return breaks.some(
    ({ does }) =>
      does.who === side &&
      (does.signal === 'SIGKILL' || does.signal === 'SIGTERM' || does.noMemory || does.limit === NO_MEMORY),
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
async function leaves(
  matrix: Matrix,
  ran: Ended,
  said: string,
  must: (holds: boolean, what: string) => void,
): Promise<void> {
  for (const [side, folder] of [
    ['source', matrix.a],
    ['destination', matrix.b],
  ] as const) {
    const pid = helperOf(folder)
    if (pid === undefined) continue
    // A source that could not be reached after COMMIT still has the run: the run's report says how to close it.
    const told = /source\/not-released/u.test(ran.stdout)
    if (side === 'source' && told && (await matrix.ferry('release', 'last')).exit === EXIT.done)
      await gone(pid)
    if (!isRunning(pid)) continue
    const released = await matrix.ferry('release', '--hold', matrix.path, '--side', side)
    if (released.exit === EXIT.done) await gone(pid)
    must(!isRunning(pid), `the ${side}'s helper stays: ${said}; ${code(released)}`)
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
