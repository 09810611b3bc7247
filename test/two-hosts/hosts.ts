/**
 * Two hosts in network namespaces, with the built `ferry` on a control host between them: reached by a real sshd,
 * their data on a link of their own. hosts.sh makes them; here they are a value that a test drives.
 */
import { execa } from 'execa'
import {
  copyFileSync,
  chmodSync,
  chownSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CLI, HELPER, ROOT } from '../support/paths.js'
import { Journal, type Ended, type Killable, type Running, startFerry } from '../support/scene.js'
import { until } from '../support/until.js'
import type { Workload } from '../support/workload.js'
import { writeFileSync } from 'node:fs'

const SCRIPT = fileURLToPath(new URL('hosts.sh', import.meta.url))

/** Namespaces and an sshd need it; without root these tests are left out, and vitest says so. */
export const isRoot = process.getuid?.() === 0
export type Host = 'a' | 'b' | 'c'
/** Addresses of the data link. */
export const DATA = { a: '10.77.3.1', b: '10.77.3.2', a6: 'fd77::1', b6: 'fd77::2' } as const

let made = 0

export class TwoHosts {
  readonly name = `ferry-${process.pid}-${++made}`
  readonly folder = mkdtempSync(join(tmpdir(), 'ferry-hosts-'))
  /** ferry's own, on the control host. */
  readonly stateDir = join(this.folder, 'control')
  private readonly running = new Set<Killable>()

  static async up(): Promise<TwoHosts> {
    const hosts = new TwoHosts()
    await execa(SCRIPT, ['up', hosts.name, hosts.folder])
    return hosts
  }

  async down(): Promise<void> {
    for (const child of this.running) child.kill('SIGKILL')
    await execa(SCRIPT, ['down', this.name, this.folder])
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Where a host keeps records, locks and holders. */
  stateOf(host: 'a' | 'b'): string {
    return join(this.folder, host, 'state')
  }

  /** The two sides of a profile. */
  sides(more: { readonly source?: object; readonly destination?: object } = {}, from: 'a' | 'b' = 'a') {
    const to = from === 'a' ? 'b' : 'a'
    return {
      source: { host: `ssh://root@node-${from}`, stateDir: this.stateOf(from), ...more.source },
      destination: {
        host: `ssh://root@node-${to}`,
        stateDir: this.stateOf(to),
        listen: `${DATA[to]}:0`,
        ...more.destination,
      },
      // Encrypted, whatever a workload of one host says.
      transport: {},
    }
  }

  profile(workload: Workload | object, name = 'profile.yaml'): string {
    const path = join(this.folder, name)
    writeFileSync(path, JSON.stringify(workload, null, 2))
    chmodSync(path, 0o644)
    return path
  }

  /** A program on one of the hosts; never throws. */
  async on(host: Host, command: readonly string[], options: { readonly input?: string } = {}) {
    return execa('ip', ['netns', 'exec', `${this.name}-${host}`, ...command], { reject: false, ...options })
  }

  /** A program on one of the hosts that stays until `down`, or until it is killed. */
  start(host: Host, command: readonly string[]) {
    const child = execa('ip', ['netns', 'exec', `${this.name}-${host}`, ...command], { reject: false })
    this.running.add(child)
    void child.then(() => this.running.delete(child))
    return child
  }

  /** `ferry` on the control host. */
  ferry(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
    const own = {
      PATH: process.env['PATH'],
      HOME: join(this.folder, 'c'),
      FERRY_STATE_DIR: this.stateDir,
      FERRY_SSH: join(this.folder, 'ssh'),
      FERRY_HELPER: HELPER,
      XDG_RUNTIME_DIR: this.runtimeDir(),
    }
    return startFerry(
      ['ip', 'netns', 'exec', `${this.name}-c`, process.execPath, CLI, ...args],
      { cwd: this.folder, env: { ...own, ...env } },
      this.running,
    )
  }

  /**
   * `ferry` on the control host as another user, with its own environment besides; the checkout may stand in a folder
   * that is closed to that user, so it is mounted where it is not (for this command alone).
   */
  async ferryAs(uid: number, env: Readonly<Record<string, string>>, args: readonly string[]) {
    const open = '/mnt'
    const [cli, helper] = [CLI, HELPER].map((path) => join(open, relative(ROOT, path)))
    const words = Object.entries({ ...env, FERRY_HELPER: helper }).map(([key, value]) => `${key}=${value}`)
    return this.on('c', [
      ...['sh', '-c', `mount --bind "$0" ${open} && cd / && exec "$@"`, ROOT],
      ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'env', ...words],
      ...[process.execPath, cli ?? '', ...args],
    ])
  }

  /** `ferry … --json`, which must print an envelope. */
  async json(...args: string[]): Promise<Ended> {
    return this.ferry([...args, '--json']).ended
  }

  /** An ordinary user's copy of the key, and of ssh: `ferry` runs as that user on the control host. */
  ordinaryUser(uid: number): { readonly home: string; readonly ssh: string } {
    const home = join(this.folder, `user-${uid}`)
    mkdirSync(home, { mode: 0o700 })
    const key = join(home, 'id')
    copyFileSync(join(this.folder, 'keys', 'id'), key)
    chmodSync(key, 0o600)
    const ssh = join(home, 'ssh')
    writeFileSync(ssh, `#!/bin/sh\nexec /usr/bin/ssh -F "${this.folder}/ssh_config" -i "${key}" "$@"\n`)
    chmodSync(ssh, 0o755)
    for (const path of [home, key, ssh]) chownSync(path, uid, uid)
    return { home, ssh }
  }

  runtimeDir(): string {
    const folder = join(this.folder, 'run')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return folder
  }

  runs(): string[] {
    try {
      const folder = join(this.stateDir, 'runs')
      return readdirSync(folder)
        .filter((name) => name.endsWith('.ndjson'))
        .map((name) => name.replace(/\.ndjson$/u, ''))
        .sort()
    } catch {
      return []
    }
  }

  journal(run = this.runs().at(-1)): Journal {
    if (run === undefined) throw new Error('no run yet')
    return new Journal(join(this.stateDir, 'runs', `${run}.ndjson`))
  }

  /** The newest run's journal once it holds what `look` wants. */
  async journalWith(what: string, look: (journal: Journal) => boolean): Promise<Journal> {
    return until(
      () => `a journal with ${what}; it has:\n${this.runs().length === 0 ? 'no run' : this.journal().text()}`,
      () => {
        if (this.runs().length === 0) return undefined
        const journal = this.journal()
        return look(journal) ? journal : undefined
      },
    )
  }

  /** Frames to the other end go nowhere, and no end hears of it: a cable that was pulled behind a switch. */
  async cut(link: Link, how: 'both' | 'half' = 'both'): Promise<void> {
    for (const words of cutting(link).slice(0, how === 'half' ? 1 : 2)) await this.ip(words)
  }

  async mend(link: Link): Promise<void> {
    for (const [host, interface_] of ENDS[link]) {
      await this.on(host, ['tc', 'qdisc', 'del', 'dev', interface_, 'root'])
      await this.ip([host, 'neigh', 'flush', 'dev', interface_, 'nud', 'permanent'])
    }
  }

  /** The same as words for a shell, for a hook that does it at a moment of its own. */
  cutCommand(...links: readonly Link[]): string {
    return links
      .flatMap((link) => cutting(link))
      .map(([host = '', ...words]) => `ip -n ${this.name}-${host} ${words.join(' ')}`)
      .join(' && ')
  }

  private async ip([host = '', ...words]: readonly string[]): Promise<void> {
    await execa('ip', ['-n', `${this.name}-${host}`, ...words])
  }

  /** At most this many bits per second each way on the data link. */
  async cap(rate: string): Promise<void> {
    for (const [host, interface_] of ENDS.data) {
      const limits = ['rate', rate, 'burst', '64kb', 'latency', '200ms']
      await this.tc(host, ['qdisc', 'replace', 'dev', interface_, 'root', 'tbf', ...limits])
    }
  }

  private async tc(host: Host, args: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.on(host, ['tc', ...args])
    if (exitCode !== 0) throw new Error(`tc ${args.join(' ')}: ${stderr}`)
  }

  /** Processes of helpers on both hosts, by their command line. */
  async helpers(host: 'a' | 'b'): Promise<number[]> {
    const { stdout } = await execa('ip', ['netns', 'pids', `${this.name}-${host}`])
    return stdout
      .split('\n')
      .filter((pid) => pid !== '')
      .map(Number)
      .filter((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
          return words[0]?.endsWith('ferry-helper') === true && words.includes('--serve')
        } catch {
          return false
        }
      })
  }
}

type Link = 'data' | 'ssh-a' | 'ssh-b'
/** Each end: host, interface, and the other end's address. */
const ENDS: Readonly<Record<Link, readonly (readonly [Host, string, string])[]>> = {
  data: [
    ['a', 'data', '10.77.3.2'],
    ['b', 'data', '10.77.3.1'],
  ],
  'ssh-a': [
    ['c', 'toa', '10.77.1.2'],
    ['a', 'ctl', '10.77.1.1'],
  ],
  'ssh-b': [
    ['c', 'tob', '10.77.2.2'],
    ['b', 'ctl', '10.77.2.1'],
  ],
}

/**
 * Sends frames to a hardware address that no one has: they leave, and are lost on the way, as behind a switch whose
 * cable was pulled. (A queue that drops them would tell TCP so, and TCP does not count what it knows was never sent.)
 */
function cutting(link: Link): readonly (readonly string[])[] {
  return ENDS[link].map(([host, interface_, other]) => [
    ...[host, 'neigh', 'replace', other, 'lladdr', '02:00:00:00:00:01'],
    ...['dev', interface_, 'nud', 'permanent'],
  ])
}
