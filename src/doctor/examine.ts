/** Looks at one host, layer by layer. What cannot be reached is a check that failed, never an error. */
import { FerryError } from '../errors.js'
import type { HelperClient } from '../link/client.js'
import { hostOf, type Host } from '../host/host.js'
import { installHelper } from '../link/install.js'
import { openHelper, stateDirOf } from '../link/open.js'
import type { HelloReply } from '../protocol/protocol.js'
import { confinementChecks } from './confinement-checks.js'
import { fail, failure, LAYERS, ok, warn, type Check, type HostReport } from './check.js'
import { readFacts, type ScriptFacts } from './facts.js'
import { iommuChecks, kernelChecks, vfioChecks } from './kernel-checks.js'
import { duration } from '../units.js'
import { roomChecks, rootChecks, stateChecks } from './room-checks.js'
import { SCRIPT } from './script.js'
import type { ExaminedHost } from './examined-host.js'

export interface ExamineOptions {
  /** --state-dir; counts on this host. */
  readonly stateDir: string
  readonly helper?: string | undefined
  readonly root?: string
  readonly onStderr?: (line: string) => void
}
/** What was found, and the helper, still open, for questions that take two of them. */
export interface Examined {
  readonly subject: ExaminedHost
  readonly report: HostReport
  readonly client: HelperClient | null
  readonly facts: ScriptFacts | null
  readonly clock: Clock | null
  /** Warnings of its helper, which grow while it is open. */
  readonly said: readonly string[]
}
export interface Clock {
  /** Of the control channel: a line to the helper and back. */
  readonly roundTripUs: number
  /** That host's clock less this one's, within half the round trip. */
  readonly aheadUs: number
}

const SUDO = 'link/sudo'
const SCRIPT_MS = 20_000
const GREETINGS = 3
/** Records of two hosts are read side by side, and `ferry cutover --at` goes by the clock. */
export const CLOCK_US = 1_000_000

export async function examine(subject: ExaminedHost, options: ExamineOptions): Promise<Examined> {
  const { spec } = subject
  const host = hostOf(spec, { keepaliveMs: subject.keepaliveMs })
  const checks: Check[] = []
  try {
    const connectMs = await host.connect()
    if (connectMs !== null) checks.push(ok('ssh', 'ssh', `reached in ${duration(connectMs * 1000)}`))
  } catch (error) {
    return unreachable(subject, [failure('ssh', error)])
  }
  const said: string[] = []
  const client = await openOn(host, subject, options, { checks, said })
  const hello = client?.helloReply ?? null
  const folder = client === null ? spec.stateDir : folderOf(client, spec, options.stateDir, checks)
  const facts = await factsOf(host, subject, folder, checks)
  if (facts !== null)
    checks.push(
      ...judge(
        subject,
        facts,
        hello,
        folder,
        checks.some(({ code }) => code === SUDO),
      ),
    )
  const clock = client === null || host.local ? null : await clockOf(client)
  if (clock !== null) checks.push(clockCheck(clock), networkCheck(clock))
  return { subject, report: reportOf(subject, facts?.hostname ?? null, checks), client, facts, clock, said }
}

function reportOf(subject: ExaminedHost, hostname: string | null, checks: readonly Check[]): HostReport {
  const seen = new Set(checks.map(({ layer }) => layer))
  const missed = checks.some(
    ({ code, layer, level }) => level === 'fail' && (layer === 'ssh' || layer === 'helper' || code === SUDO),
  )
  const local = subject.spec.host === 'local'
  const asked = LAYERS.filter(
    (layer) => !(local && (layer === 'ssh' || layer === 'clock' || layer === 'network')),
  )
  return {
    host: subject.spec.host,
    hostname,
    sides: subject.sides,
    checks: [...checks].sort((a, b) => LAYERS.indexOf(a.layer) - LAYERS.indexOf(b.layer)),
    unseen: missed ? asked.filter((layer) => !seen.has(layer)) : [],
  }
}

function unreachable(subject: ExaminedHost, checks: readonly Check[]): Examined {
  return {
    subject,
    report: reportOf(subject, null, checks),
    client: null,
    facts: null,
    clock: null,
    said: [],
  }
}

async function openOn(
  host: Host,
  { keepaliveMs, spec, sides }: ExaminedHost,
  { helper, onStderr, root }: ExamineOptions,
  { checks, said }: { readonly checks: Check[]; readonly said: string[] },
): Promise<HelperClient | null> {
  const where = root === undefined ? {} : { root }
  try {
    const installed =
      host.local || spec.helper !== null ? null : await installHelper(host, { explicit: helper, ...where })
    const client = await openHelper(spec, {
      side: sides[0] ?? 'source',
      helper,
      keepaliveMs,
      ...where,
      ...(onStderr && { onStderr }),
      onEvent: (event) => {
        if (event.event === 'log' && event.level === 'warn') said.push(event.message)
      },
    })
    const { build, protocol, version } = client.helloReply
    const how =
      installed === null
        ? (spec.helper ?? 'the helper of this host')
        : `${installed.copied ? 'copied to' : 'found at'} ${installed.path}`
    checks.push(
      ok('helper', 'helper', `${version}, protocol ${protocol}, build ${build.slice(0, 12)}: ${how}`),
    )
    return client
  } catch (error) {
    const layer = error instanceof FerryError && error.code === SUDO ? 'root' : 'helper'
    checks.push(failure(layer, error))
    return null
  }
}

/** As root where the profile says so and sudo lets us: what is closed to others is open to the helper. */
async function factsOf(
  host: Host,
  { interface: name, spec }: ExaminedHost,
  folder: string | null,
  checks: Check[],
): Promise<ScriptFacts | null> {
  const ask = async (become: 'sudo' | null): Promise<ScriptFacts> => {
    const command = ['sh', '-s', '--', folder ?? '', name ?? '']
    const { stdout } = await host.run(command, { input: SCRIPT, timeoutMs: SCRIPT_MS, become })
    return readFacts(stdout)
  }
  const refused = checks.some(({ code }) => code === SUDO)
  try {
    return await ask(refused ? null : spec.become)
  } catch (error) {
    checks.push(failure('kernel', error))
    return null
  }
}

function judge(
  subject: ExaminedHost,
  facts: ScriptFacts,
  hello: HelloReply | null,
  folder: string | null,
  sudoRefused: boolean,
): readonly Check[] {
  const { need } = subject
  return [
    ...(sudoRefused ? [] : rootChecks(facts, hello, need)),
    ...(hello === null ? [] : confinementChecks(hello.confinement)),
    ...kernelChecks(facts, need),
    ...vfioChecks(facts, need),
    ...iommuChecks(facts, need),
    ...roomChecks(facts, hello, need),
    ...stateChecks(facts, folder, hello?.uid ?? facts.uid),
    ...interfaceCheck(subject.interface, facts.interface),
  ]
}

function interfaceCheck(name: string | null, state: string | null): readonly Check[] {
  if (name === null || state === null) return []
  const remedy = 'check `destination.interface` of the profile against `ip address` there'
  if (state === 'absent') return [fail('network', 'interface', `there is no interface ${name}`, remedy)]
  // Tunnels and loopback have no carrier to report.
  if (state === 'up' || state === 'unknown') return [ok('network', 'interface', `interface ${name} is there`)]
  return [fail('network', 'interface', `interface ${name} is ${state}`, remedy)]
}

/** Of several greetings the quickest says most: its middle is the best known. */
async function clockOf(client: HelperClient): Promise<Clock | null> {
  let best: Clock | null = null
  for (let nth = 0; nth < GREETINGS; nth++) {
    const sentUs = performance.now() * 1000
    const wallUs = Date.now() * 1000
    let reply: HelloReply
    try {
      reply = await client.hello({ timeoutMs: 5000 })
    } catch {
      return best
    }
    const roundTripUs = performance.now() * 1000 - sentUs
    const aheadUs = Number(BigInt(reply.clockUs) - BigInt(wallUs)) - roundTripUs / 2
    if (best === null || roundTripUs < best.roundTripUs) best = { roundTripUs, aheadUs }
  }
  return best
}

function clockCheck({ aheadUs, roundTripUs }: Clock): Check {
  const apart = `${duration(Math.abs(aheadUs))} ${aheadUs < 0 ? 'behind' : 'ahead of'} this host`
  const found = `its clock is ${apart}, give or take ${duration(roundTripUs / 2)}`
  if (Math.abs(aheadUs) - roundTripUs / 2 <= CLOCK_US) return ok('clock', 'clock', found)
  return warn('clock', 'clock', found, 'set both by NTP: times in records and logs will not agree')
}

function networkCheck({ roundTripUs }: Clock): Check {
  return ok('network', 'round-trip', `a line to the helper and back takes ${duration(roundTripUs)}`)
}

/** A helper whose user has no home names no folder. */
function folderOf(
  client: HelperClient,
  spec: ExaminedHost['spec'],
  own: string,
  checks: Check[],
): string | null {
  try {
    return stateDirOf(client, spec, own)
  } catch (error) {
    checks.push(failure('state', error))
    return null
  }
}
