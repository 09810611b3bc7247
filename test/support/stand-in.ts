/** Stand-ins for ssh and sudo, and a helper whose build is that of its file. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROTOCOL_VERSION } from '../../src/protocol/protocol.js'
import { fakeHelper, type FakeAction } from './fake-helper.js'
import { temporaryFolder } from './temporary-folder.js'

/**
 * What the stand-in does with the command, `$1`, for the host `$host`; by default what sshd does: a shell reads it, in a
 * session of its own, which the end of ssh does not reach.
 */
export const RUNS = 'exec setsid -w sh -c "$1"'

export interface StandIn {
  readonly folder: string
  /** The arguments of every ssh that was started, in order. */
  calls(): readonly string[][]
}

let hosts = 0
/** Connections are kept by name, so every test has a host of its own. */
export function newHost(user = 'ops'): string {
  return `${user}@node-${++hosts}`
}

/** Takes ssh's place for this process. Its own arguments end at `--`; then come host and command. */
export function standIn(body: string = RUNS): StandIn {
  const folder = temporaryFolder()
  const path = join(folder, 'ssh')
  const log = join(folder, 'calls')
  writeFileSync(log, '')
  writeFileSync(
    path,
    `#!/bin/sh
{ printf '%s\\036' "$@"; printf '\\035'; } >>'${log}'
folder='${folder}'
while [ "$1" != -- ]; do shift; done
host=$2
shift 2
${body}
`,
    { mode: 0o755 },
  )
  process.env['FERRY_SSH'] = path
  process.env['XDG_CACHE_HOME'] = join(folder, 'cache')
  return {
    folder,
    calls: () =>
      readFileSync(log, 'utf8')
        .split('\x1d')
        .slice(0, -1)
        .map((call) => call.split('\x1e').slice(0, -1)),
  }
}

/** A program in front of all others on the PATH. */
export function onPath(name: string, body: string): void {
  const folder = temporaryFolder()
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  process.env['PATH'] = `${folder}:${process.env['PATH'] ?? ''}`
}

const KEYS = ['FERRY_SSH', 'XDG_CACHE_HOME', 'PATH'] as const
const before = KEYS.map((key) => [key, process.env[key]] as const)
/** What standIn and onPath changed, as it was. */
export function restoreEnvironment(): void {
  for (const [key, value] of before) {
    if (value === undefined) Reflect.deleteProperty(process.env, key)
    else process.env[key] = value
  }
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** A helper that says of itself what is true of its file, or `build`. */
export function fakeBuild(build?: string, replies: Readonly<Record<string, readonly FakeAction[]>> = {}) {
  const folder = temporaryFolder()
  const path = fakeHelper(folder, 'ferry-helper', {})
  const hash = sha256(path)
  const hello = {
    protocol: PROTOCOL_VERSION,
    version: '0.1.0',
    build: build ?? hash,
    pid: 1,
    uid: 0,
    kernel: '6.12.0',
    clockUs: '1',
    stateDir: '/var/lib/ferry',
    pageSize: 4096,
    memlockBytes: null,
    memoryAvailableBytes: '1073741824',
    fingerprint: 'ab'.repeat(32),
    confinement: { seccomp: true, landlock: 0, capabilities: [] },
  }
  const script = { log: join(folder, 'log'), replies: { hello: [{ ok: hello }], ...replies } }
  writeFileSync(join(folder, 'ferry-helper.json'), JSON.stringify(script))
  return { path, hash, log: script.log }
}
