/** Everything a profile may say of hosts, connections, hooks and holding, as the loader gives it. */
import fc from 'fast-check'
import type { Hook, HostSpec, Profile, Then, Transport } from '../../src/profile/profile.js'
import type { HookPoint } from '../../src/points.js'

export const rate = fc.bigInt(1n, 2n ** 50n)
export const nth = fc.integer({ min: 1, max: 99 })
const ms = fc.integer({ min: 1, max: 10 ** 9 })
/** Paths may hold anything, dollars and quotes included. */
export const path = fc.string({ minLength: 1, maxLength: 20 }).map((text) => `/${text.replaceAll('\0', '')}`)
const command = fc.array(
  fc.string({ minLength: 1, maxLength: 12 }).map((text) => text.replaceAll('\0', '-')),
  { minLength: 1, maxLength: 3 },
)

const then: fc.Arbitrary<Then> = fc.oneof(
  fc.constantFrom<Then>({ kind: 'hold' }, { kind: 'close' }),
  command.map<Then>((words) => ({ kind: 'exec', command: words })),
)
const host = (names: fc.Arbitrary<string>, become: fc.Arbitrary<'sudo' | null>): fc.Arbitrary<HostSpec> =>
  fc.record({ host: names, helper: fc.option(path), become, stateDir: fc.option(path) })
const local = host(fc.constant('local'), fc.constant(null))
const sudo = fc.option(fc.constant('sudo' as const))

/** Addresses of both ends, of one family, and the interface in place of one. */
const addresses = fc.constantFrom(
  { from: null, address: '192.0.2.7', interface: null },
  { from: '192.0.2.1', address: '192.0.2.7', interface: null },
  { from: '2001:db8::1', address: '2001:db8::7', interface: null },
  { from: '2001:db8::1', address: '', interface: 'eth1' },
  { from: null, address: '', interface: 'br-$x' },
)
const port = fc.integer({ min: 0, max: 65_535 })
const from = fc.constantFrom('open' as const, 'holder' as const)

const streams = fc
  .tuple(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 16 }), ms)
  .map(([a, b, keepaliveMs]) => ({ streams: Math.min(a, b), maxStreams: Math.max(a, b), keepaliveMs }))
const reason = fc.string({ maxLength: 20 }).map((text) => `a line no one else has a tap on: ${text}`)
const overNetwork: fc.Arbitrary<Transport> = fc
  .tuple(streams, fc.option(reason))
  .map(([counts, insecure]) => ({ ...counts, insecure, loopback: false, encrypt: insecure === null }))
const overLoopback: fc.Arbitrary<Transport> = streams.map((counts) => ({
  ...counts,
  insecure: null,
  loopback: true,
  encrypt: false,
}))

type Ends = { readonly [K in 'source' | 'destination' | 'transport']: fc.Arbitrary<Profile[K]> }

const twoHosts: fc.Arbitrary<Ends> = fc.tuple(addresses, port).map(([at, number]) => ({
  source: fc
    .tuple(fc.oneof(local, host(fc.constantFrom('node-a', 'ssh://ops@[2001:db8::1]:22'), sudo)), from)
    .map(([side, has]) => ({ ...side, from: has, address: at.from })),
  destination: fc
    .tuple(host(fc.constantFrom('node-b', 'root@192.0.2.7', 'ssh://ops@node-b:2222'), sudo), then)
    .map(([side, end]) => ({
      ...side,
      listen: { address: at.address, port: at.interface === null ? number : 0 },
      interface: at.interface,
      then: end,
    })),
  transport: overNetwork,
}))
/** Two state folders: one would be refused for two holders. */
const oneHost: fc.Arbitrary<Ends> = port.map((number) => ({
  source: fc
    .tuple(local, from)
    .map(([side, has]) => ({ ...side, stateDir: '/state/a', from: has, address: null })),
  destination: fc.tuple(local, then).map(([side, end]) => ({
    ...side,
    stateDir: '/state/b',
    listen: { address: '127.0.0.1', port: number },
    interface: null,
    then: end,
  })),
  transport: fc.oneof(overNetwork, overLoopback),
}))
export const ends = fc.oneof(twoHosts, oneHost)

const INSIDE: readonly HookPoint[] = ['post-quiesce', 'post-stop', 'pre-resume']
const FINAL: readonly HookPoint[] = ['post-commit', 'post-rollback']
const hook: fc.Arbitrary<Omit<Hook, 'name'>> = fc
  .record({
    at: fc.constantFrom<HookPoint>(
      ...(['pre-pin', 'post-pin', 'post-dirty-log', 'pre-cutover'] as const),
      ...INSIDE,
      ...FINAL,
    ),
    on: fc.constantFrom('source' as const, 'destination' as const, 'ferry' as const),
    command,
    timeoutMs: ms,
    onFailure: fc.constantFrom('abort' as const, 'warn' as const),
  })
  .map((one) => {
    const inBlackout = INSIDE.includes(one.at)
    // What may take the whole blackout is refused.
    const timeoutMs = inBlackout ? 1 + (one.timeoutMs % 3) : one.timeoutMs
    return { ...one, inBlackout, timeoutMs, onFailure: FINAL.includes(one.at) ? 'warn' : one.onFailure }
  })
export const hooks: fc.Arbitrary<Hook[]> = fc
  .array(hook, { maxLength: 3 })
  .map((list) => list.map((one, index) => ({ name: `hook-${index}`, ...one })))

export const handOut: fc.Arbitrary<Profile['handOut']> = fc.option(
  fc.record({ socket: path, uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }) }),
)

export const migration: fc.Arbitrary<Profile['migration']> = fc.record({
  downtimeLimitMs: fc.integer({ min: 10, max: 10 ** 9 }),
  precopy: fc.record({ maxRounds: nth, maxTimeMs: ms }),
  onNotConverged: fc.constantFrom('cancel' as const, 'cutover' as const),
  verify: fc.constantFrom('full' as const, 'none' as const),
  bandwidth: fc.option(rate),
  maxStateBytes: fc.option(fc.bigInt(1n, 2n ** 40n)),
  linkTimeoutMs: ms,
  graceMs: fc.option(ms),
  hold: fc.constantFrom(null, 'after-pin' as const, 'after-dirty-log' as const, 'before-cutover' as const),
  holdTimeoutMs: fc.option(ms),
  holdEnd: fc.constantFrom('cancel' as const, 'cutover' as const),
})
