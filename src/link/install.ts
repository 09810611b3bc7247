/**
 * The helper on another host: the one this ferry would use itself, copied to the user's cache folder there unless it is
 * there already. Its folder bears the hash, so that several releases live side by side and a running one is never
 * replaced.
 *
 * With `become: sudo` root runs a file of the user who logs in. Only that user may write it, and may become root
 * without a password anyway; where sudo allows only certain programs, install the helper as root and name it with
 * `helper:`.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Host } from '../host/host.js'
import { checkTrusted, findHelper, packageRoot, type LookUp } from './find-helper.js'

export interface Installed {
  /** Absolute, on that host. */
  readonly path: string
  /** SHA-256 of the file, lower-case hex; the helper says the same of itself when it is greeted. */
  readonly build: string
  /** It was not there before. */
  readonly copied: boolean
}

const NAME = 'ferry-helper'
/** Of the hash, in the folder's name. */
const PREFIX = 16
const PROBE_MS = 20_000
/** A link that is dead is noticed by keepalive; this is for one that creeps. */
const COPY_MS = 600_000

/** Node's names of machines, as `uname -m` has them. */
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }

const done = new WeakMap<Host, Map<string, Promise<Installed>>>()

/**
 * Sees to it that the helper is on the host. Once a host and build; asked again, the first answer counts.
 *
 * A FerryError otherwise: `helper/architecture`, `helper/missing` (none here to copy), `helper/install` (not written),
 * `helper/untrusted`, or the link's own.
 */
export async function installHelper(host: Host, lookUp: LookUp): Promise<Installed> {
  const known = done.get(host) ?? new Map<string, Promise<Installed>>()
  done.set(host, known)
  const key = JSON.stringify([lookUp.explicit ?? null, lookUp.root ?? null])
  const installing = known.get(key) ?? install(host, lookUp)
  known.set(key, installing)
  installing.catch(() => known.delete(key))
  return installing
}

async function install(host: Host, lookUp: LookUp): Promise<Installed> {
  const own = await findHelper(lookUp).catch((error: unknown) => error)
  const ownHash = typeof own === 'string' ? await hashOf(own) : null
  const there = await probe(host, ownHash)
  const machine = MACHINES[process.arch] ?? process.arch
  const alike = there.system === 'Linux' && there.machine === machine && process.platform === 'linux'
  const file = alike ? own : await prebuilt(host, there, lookUp)
  if (typeof file !== 'string') throw file
  await checkTrusted(file)
  const hash = file === own && ownHash !== null ? ownHash : await hashOf(file)
  const at = hash === ownHash ? there : await probe(host, hash)
  const path = `${at.folder}/${NAME}`
  if (at.hash === hash) return { path, build: hash, copied: false }
  await copy(host, file, at.folder, hash)
  return { path, build: hash, copied: true }
}

interface Probe {
  readonly system: string
  readonly machine: string
  /** Where the helper of this hash belongs. */
  readonly folder: string
  /** Of the file that is there and that only the user could have changed; null: none. */
  readonly hash: string | null
}

/** What is there, in one round trip. Reads only. */
const PROBE = `
set -u
LC_ALL=C; export LC_ALL
cache=\${XDG_CACHE_HOME:-}
case $cache in /*) ;; *) cache=\${HOME:-}/.cache ;; esac
dir=$cache/ferry/helper-$1
printf 'ferry-probe\\tsystem\\t%s\\n' "$(uname -s)"
printf 'ferry-probe\\tmachine\\t%s\\n' "$(uname -m)"
printf 'ferry-probe\\tfolder\\t%s\\n' "$dir"
me=$(id -u)
sound() { ls -ldn "$1" 2>/dev/null | { read -r mode _ owner _ || exit 1; [ "$owner" = "$me" ] && case $mode in ?????-??-*) ;; *) exit 1 ;; esac; }; }
if [ -f "$dir/${NAME}" ] && [ -x "$dir/${NAME}" ] && sound "$dir" && sound "$dir/${NAME}"; then
  hash=$(sha256sum <"$dir/${NAME}") && printf 'ferry-probe\\thash\\t%s\\n' "\${hash%% *}"
fi
printf 'ferry-probe\\tend\\t\\n'
`

async function probe(host: Host, hash: string | null): Promise<Probe> {
  const prefix = (hash ?? 'none').slice(0, PREFIX)
  const result = await host.run(['sh', '-s', '--', prefix], { input: PROBE, timeoutMs: PROBE_MS })
  const said = new Map<string, string>()
  for (const line of result.stdout.split('\n')) {
    const [mark, key = '', ...rest] = line.split('\t')
    if (mark === 'ferry-probe') said.set(key, rest.join('\t'))
  }
  const [system, machine, folder] = ['system', 'machine', 'folder'].map((key) => said.get(key))
  if (!said.has('end') || !system || !machine || !folder?.startsWith('/')) {
    throw installError(
      `${host.label} could not be looked at: sh ${result.timedOut ? 'did not end in time' : `ended with status ${result.exitCode}`}`,
      result.stderr,
      `try \`ssh ${host.name} uname -sm\` by hand`,
    )
  }
  return { system, machine, folder, hash: said.get('hash') ?? null }
}

/** For another kind of machine than this one. */
async function prebuilt(host: Host, there: Probe, lookUp: LookUp): Promise<string> {
  const arch = Object.entries(MACHINES).find(([, machine]) => machine === there.machine)?.[0]
  const path = join(lookUp.root ?? packageRoot(), 'prebuilds', `linux-${arch ?? there.machine}`, NAME)
  if (there.system === 'Linux' && arch !== undefined) {
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  throw new FerryError({
    code: 'helper/architecture',
    exit: EXIT.error,
    message: `${host.label} is ${there.system} ${there.machine}, and ferry has no helper for it (${path})`,
    suggestions: [
      there.system === 'Linux'
        ? `build ferry-helper on ${host.label} and name it with \`helper:\` in the profile`
        : 'devices move between Linux hosts',
    ],
  })
}

/**
 * Written beside its place under a unique name, checked there, then moved: a reader always finds the whole
 * helper or none. In one line, as a login shell may not be a Bourne shell.
 */
const COPY = [
  'umask 077',
  'd=$1',
  't=',
  `trap 'rm -f "$t"' EXIT`,
  'mkdir -p "$d" && chmod 700 "$d" && t=$(mktemp "$d/.new-XXXXXX") && cat >"$t" && h=$(sha256sum <"$t") || exit 1',
  'if [ "${h%% *}" != "$2" ]; then echo "ferry-hash ${h%% *}"; exit 9; fi',
  `chmod 700 "$t" && mv -f "$t" "$d/${NAME}"`,
].join('; ')
const OTHER_HASH = 9

async function copy(host: Host, file: string, folder: string, hash: string): Promise<void> {
  const input = createReadStream(file)
  try {
    const result = await host.run(['sh', '-c', COPY, 'sh', folder, hash], { input, timeoutMs: COPY_MS })
    if (result.exitCode === 0) return
    if (result.exitCode === OTHER_HASH) {
      const arrived = /^ferry-hash (?<hash>\w+)$/mu.exec(result.stdout)?.groups?.['hash'] ?? 'another'
      throw installError(
        `ferry-helper did not arrive at ${host.label} as it was sent: its hash is ${arrived}, not ${hash}`,
        result.stderr,
        `look for what writes to the pipe of \`ssh ${host.name}\`, and for free space in ${folder}`,
      )
    }
    throw installError(
      `ferry-helper could not be written to ${folder} on ${host.label}`,
      result.stderr,
      `make room or allow writing there (XDG_CACHE_HOME on ${host.label} names another folder), or install it and name it with \`helper:\``,
    )
  } finally {
    input.destroy()
  }
}

function installError(message: string, stderr: string, suggestion: string): FerryError {
  const words = stderr.split('\n').filter((line) => line.trim() !== '')
  return new FerryError({
    code: 'helper/install',
    exit: EXIT.error,
    message: [message, ...words.slice(-5)].join('\n  '),
    suggestions: [suggestion],
  })
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
