/** The built `ferry` with the built `ferry-helper`, as an operator runs them: processes, a state folder, a journal. */
import { execa } from 'execa'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Op, Role } from '../../src/protocol/protocol.js'
import type { EventRecord } from '../../src/journal/event.js'
import { afterEachFile } from './ends.js'
import { CLI, HELPER } from './paths.js'
import { temporaryFolder } from './temporary-folder.js'
import { until } from './until.js'
import type { Workload } from './workload.js'

for (const [built, command] of [
  [CLI, 'npm run build:cli'],
  [HELPER, 'npm run build:helper'],
] as const) {
  if (!existsSync(built)) {
    throw new Error(`${built} is not built: these tests run what is built; \`${command}\` builds it`)
  }
}

// Once per test file: tests that run side by side share these.
const stateDirs: string[] = []
export interface Killable {
  kill(signal: NodeJS.Signals): boolean
}
const processes = new Set<Killable>()
afterEachFile(() => {
  for (const child of processes) child.kill('SIGKILL')
  processes.clear()
  // A helper past COMMIT stays until somebody recovers the run, which not every test does.
  for (const stateDir of stateDirs.splice(0)) {
    for (const pid of lockHolders(join(stateDir, 'locks'))) if (isHelper(pid)) process.kill(pid, 'SIGKILL')
  }
})

function lockHolders(locks: string): number[] {
  const names = existsSync(locks) ? readdirSync(locks) : []
  return names.map((name) => Number(readFileSync(join(locks, name), 'utf8'))).filter((pid) => pid > 0)
}

function isHelper(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] === HELPER
  } catch {
    return false
  }
}

export interface Envelope {
  readonly command: string
  readonly status: 'ok' | 'error'
  readonly exit: number
  readonly warnings: readonly string[]
  // Deep and of many shapes: tests say what they expect in it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly result: any
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly error?: any
}
export interface Ended {
  readonly exit: number | undefined
  readonly signal: string | undefined
  /** What `--json` printed; null when ferry did not live to print it. */
  readonly envelope: Envelope | null
  readonly stdout: string
  readonly stderr: string
}
export interface Running {
  readonly pid: number
  readonly ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** Whether it has not ended yet. */
  alive(): boolean
  /** Its stdin ends. */
  closeInput(): void
}

/** A `ferry`, with this environment and no other, in `among` until it has ended. */
export function startFerry(
  [program, ...args]: readonly [string, ...string[]],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
  among: Set<Killable>,
): Running {
  const child = execa(program, args, { ...options, reject: false, extendEnv: false })
  const { pid } = child
  if (pid === undefined) throw new Error('ferry could not be started')
  let over = false
  among.add(child)
  const ended = child.then(({ exitCode: exit, signal, stderr, stdout }): Ended => {
    over = true
    among.delete(child)
    const whole = args.includes('--json') && stdout.startsWith('{')
    return { exit, signal, stdout, stderr, envelope: whole ? JSON.parse(stdout) : null }
  })
  return {
    pid,
    ended,
    kill: (signal) => void child.kill(signal),
    alive: () => !over,
    closeInput: () => void child.stdin.end(),
  }
}

/** A state folder of its own, so that tests do not claim each other's devices. */
export class Scene {
  readonly folder = temporaryFolder()
  readonly stateDir = join(this.folder, 'state')

  constructor() {
    stateDirs.push(this.stateDir)
  }

  ferry(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const own = { PATH: process.env['PATH'], HOME: this.folder, FERRY_STATE_DIR: this.stateDir }
    return startFerry(
      [process.execPath, CLI, ...args],
      { cwd: this.folder, env: { ...own, ...env } },
      processes,
    )
  }

  /** Writes the workload as a profile and starts `ferry COMMAND PROFILE --json`. */
  start(command: string, workload: Workload, ...flags: string[]): Running {
    return this.ferry([command, this.profile(workload), '--json', ...flags])
  }

  migrate(workload: Workload, ...flags: string[]): Promise<Ended> {
    return this.start('migrate', workload, ...flags).ended
  }

  /** JSON is YAML. */
  profile(workload: Workload): string {
    const path = join(this.folder, 'profile.yaml')
    writeFileSync(path, JSON.stringify(workload, null, 2))
    return path
  }

  runs(): string[] {
    const folder = join(this.stateDir, 'runs')
    // Beside its journal a run in the background has a log.
    const names = existsSync(folder) ? readdirSync(folder) : []
    return names.filter((name) => name.endsWith('.ndjson')).sort()
  }

  /** The only run's journal. While the run is under way its last line may be half written. */
  journal(): Journal {
    const [name, more] = this.runs()
    if (name === undefined || more !== undefined) throw new Error(`${this.runs().length} runs, not one`)
    return new Journal(join(this.stateDir, 'runs', name))
  }

  /** The journal once it holds what `look` wants. */
  async journalWith(what: string, look: (journal: Journal) => boolean): Promise<Journal> {
    return until(
      () => `a journal with ${what}; it has:\n${this.runs().length === 1 ? this.journal().text() : 'no run'}`,
      () => {
        if (this.runs().length !== 1) return undefined
        const journal = this.journal()
        return look(journal) ? journal : undefined
      },
    )
  }

  /** Processes of the helpers of this scene's run, by the lock files they wrote. */
  helperPid(side: Role): number {
    const folder = join(this.stateDir, 'locks')
    const lock = readdirSync(folder).find((name) => name.endsWith(`.${side}.lock`))
    if (lock === undefined) throw new Error(`no lock of the ${side}`)
    return Number(readFileSync(join(folder, lock), 'utf8'))
  }

  helperPids(): number[] {
    return [this.helperPid('source'), this.helperPid('destination')]
  }

  async report(run = 'last'): Promise<Ended> {
    return this.ferry(['report', run, '--json']).ended
  }
}

/** A process that runs; one that is dead and not waited for is not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

export function gone(...pids: readonly number[]): Promise<true> {
  return until(`the end of processes ${pids.join(', ')}`, () => !pids.some(isRunning))
}

export class Journal {
  readonly path: string
  readonly records: readonly EventRecord[]

  constructor(path: string) {
    this.path = path
    const lines = readFileSync(path, 'utf8').split('\n')
    this.records = lines.slice(0, -1).map((line) => JSON.parse(line) as EventRecord)
  }

  /** Answered requests of this op; each with what was answered. */
  answers(
    side: Role,
    op: Op,
  ): { readonly ok: boolean; readonly reply?: unknown; readonly error?: unknown }[] {
    const steps = new Set(this.intents(side, op).map(({ step }) => step))
    return this.records.flatMap(({ body }) => (body.type === 'outcome' && steps.has(body.step) ? [body] : []))
  }

  intents(side: Role, op: Op) {
    return this.records.flatMap(({ body }) =>
      body.type === 'intent' && body.side === side && body.op === op ? [body] : [],
    )
  }

  /** Sent and not answered. */
  underWay(side: Role, op: Op): boolean {
    return this.intents(side, op).length > this.answers(side, op).length
  }

  states(side: Role, device: string): string[] {
    return this.records.flatMap(({ body }) =>
      body.type === 'helper' &&
      body.side === side &&
      body.event.event === 'device-state' &&
      body.event.device === device
        ? [body.event.to]
        : [],
    )
  }

  /** Whether a helper event of this name (and these fields) is in it. */
  told(side: Role, event: Readonly<Record<string, unknown>>): boolean {
    return this.records.some(
      ({ body }) =>
        body.type === 'helper' &&
        body.side === side &&
        Object.entries(event).every(
          ([key, value]) => (body.event as unknown as Record<string, unknown>)[key] === value,
        ),
    )
  }

  end() {
    const last = this.records.at(-1)?.body
    return last?.type === 'run-end' ? last : undefined
  }

  text(): string {
    return this.records.map(({ body }) => JSON.stringify(body).slice(0, 300)).join('\n')
  }
}
