/** Who the helper is on a host, and the room it has there: privileges, memory, huge pages, the state folder. */
import type { HelloReply } from '../protocol/protocol.js'
import type { Check } from './check.js'
import { fail, ok, warn } from './check.js'
import type { ScriptFacts } from './facts.js'
import type { Need } from './need.js'
import { plainSize, listed } from '../units.js'

/** include/uapi/linux/capability.h */
const CAPABILITIES = { CAP_IPC_LOCK: 14n, CAP_SYS_ADMIN: 21n } as const

export function rootChecks(facts: ScriptFacts, hello: HelloReply | null, need: Need): readonly Check[] {
  const uid = hello?.uid ?? facts.uid
  const who = hello === null ? `${facts.user} (uid ${uid})` : `uid ${uid}`
  if (uid === 0) {
    const held = facts.capabilities
    const missing =
      held === null
        ? []
        : Object.entries(CAPABILITIES).flatMap(([name, bit]) => ((held >> bit) & 1n ? [] : [name]))
    if (missing.length === 0) return [ok('root', 'root', 'the helper is root there')]
    const found = `root there lacks ${listed(missing)}, as in a container: locked memory is limited, and some devices may not open`
    return need.real === false
      ? [ok('root', 'root', 'the helper is root there')]
      : [
          warn(
            'root',
            'capabilities',
            found,
            'run ferry and its helper outside of the container, or give it the capabilities',
          ),
        ]
  }
  if (need.real === false)
    return [ok('root', 'root', `the helper runs as ${who}; simulated devices need no root`)]
  const found =
    `the helper runs as ${who}: sysfs, plans and simulated devices work; opening a device takes root, ` +
    'or nodes under /dev/vfio that belong to this user'
  return [warn('root', 'not-root', found, 'set `become: sudo` for this host, or reach it as root')]
}

export function roomChecks(facts: ScriptFacts, hello: HelloReply | null, need: Need): readonly Check[] {
  return [memlock(facts, hello, need), memory(facts, hello, need), ...hugePages(facts, need)]
}

/** Below this a limit is too small to map a function: the default of most systems is 8 MiB. */
const SMALL_LIMIT = 64n * 1024n * 1024n

function memlock(facts: ScriptFacts, hello: HelloReply | null, need: Need): Check {
  // The helper knows its own limit; without it, that of a shell there, which counts for nothing with CAP_IPC_LOCK.
  const unlimited = ((facts.capabilities ?? 0n) >> CAPABILITIES.CAP_IPC_LOCK) & 1n ? null : facts.memlockBytes
  const own = hello?.memlockBytes ?? null
  const limit = hello === null ? unlimited : own === null ? null : BigInt(own)
  if (limit === null) return ok('memlock', 'memlock', 'memory can be locked without a limit')
  const remedy =
    'raise it there (LimitMEMLOCK= in systemd, memlock in limits.conf), or run as root with CAP_IPC_LOCK'
  const found = `${plainSize(limit)} can be locked (RLIMIT_MEMLOCK)`
  if (need.pinnedBytes > limit) {
    return fail('memlock', 'memlock', `${found}, and mapping pins ${plainSize(need.pinnedBytes)}`, remedy)
  }
  if (need.functions === null && limit < SMALL_LIMIT) {
    return warn(
      'memlock',
      'memlock',
      `${found}: mapping a PCI function pins all memory of its workload`,
      remedy,
    )
  }
  return ok('memlock', 'memlock', found)
}

function memory(facts: ScriptFacts, hello: HelloReply | null, need: Need): Check {
  const available = hello === null ? facts.memoryAvailableBytes : BigInt(hello.memoryAvailableBytes)
  const found = `${plainSize(available)} of ${plainSize(facts.memoryBytes)} are available`
  if (need.memoryBytes === 0n) return ok('memory', 'memory', found)
  const wanted = `${found}, ${plainSize(need.memoryBytes)} needed`
  return need.memoryBytes > available
    ? fail('memory', 'memory', wanted, 'free memory there, or move to another host')
    : ok('memory', 'memory', wanted)
}

function hugePages(facts: ScriptFacts, need: Need): readonly Check[] {
  const short = [...need.hugePages].flatMap(([pageBytes, bytes]) => {
    const pool = facts.hugePages.find((one) => one.pageBytes === pageBytes)
    const free = (pool?.free ?? 0n) * pageBytes
    if (free >= bytes) return []
    const pages = (pool?.total ?? 0n) + (bytes - free) / pageBytes
    const folder = `/sys/kernel/mm/hugepages/hugepages-${pageBytes / 1024n}kB`
    return [
      fail(
        'huge-pages',
        'huge-pages',
        `${plainSize(free)} of ${plainSize(pageBytes)} pages are free, ${plainSize(bytes)} needed`,
        `\`echo ${pages} > ${folder}/nr_hugepages\` as root, best right after boot`,
      ),
    ]
  })
  if (short.length > 0) return short
  const pools = facts.hugePages
    .filter(({ total }) => total > 0n)
    .map(({ free, pageBytes, total }) => `${free} of ${total} pages of ${plainSize(pageBytes)} are free`)
  return [
    ok(
      'huge-pages',
      'huge-pages',
      pools.length > 0 ? pools.join(', ') : 'none are reserved, and none are needed',
    ),
  ]
}

/** Journals and records of a run are small; without them no run starts. */
const LEAST_BYTES = 16n * 1024n * 1024n

export function stateChecks(facts: ScriptFacts, folder: string | null, uid: number): readonly Check[] {
  const { state } = facts
  if (folder === null || state === null) return []
  const exists = state.above === folder
  if (!state.writable) {
    const what = exists ? folder : `${folder} does not exist, and ${state.above}`
    const found = `${what} cannot be written to by uid ${uid}`
    return [fail('state', 'state', found, 'make it, owned by that user, or name another with `stateDir:`')]
  }
  if (exists && (state.owner !== uid || /^.{5}w|^.{8}w/u.test(state.mode))) {
    const found = `${folder} belongs to uid ${state.owner} with mode ${state.mode}: others could forge the records of a run`
    return [
      fail(
        'state',
        'state-open',
        found,
        `\`chown ${uid}\` and \`chmod go-w\` it, or name another with \`stateDir:\``,
      ),
    ]
  }
  const free = state.freeBytes
  const text = `${folder}${exists ? '' : ' will be made'}${free === null ? '' : `, ${plainSize(free)} free there`}`
  if (free !== null && free < LEAST_BYTES) {
    return [fail('state', 'disk-full', text, 'make room: a run without its journal does not start')]
  }
  return [ok('state', 'state', text)]
}

/** Runs whose journals are on this host, whichever hosts they were between. */
export function unfinishedCheck(runs: readonly string[]): Check {
  if (runs.length === 0) return ok('state', 'unfinished', 'no run is left unfinished')
  const found = `${runs.length === 1 ? 'a run is' : `${runs.length} runs are`} left unfinished: ${runs.join(', ')}`
  return warn(
    'state',
    'unfinished',
    found,
    `\`ferry recover ${runs[0] ?? 'RUN'}\` asks both sides and finishes it safely`,
  )
}
