/** Whether the data connections come about, from source to destination, and how long a word takes on them. */
import { FerryError } from '../errors.js'
import type { HelperClient } from '../link/client.js'
import { meetingOf, sourceAddress } from '../link/data-connection.js'
import { formatListen } from '../profile/schema/address.js'
import type { Profile } from '../profile/profile.js'
import { fail, failure, ok, warn, type Check } from './check.js'
import type { Examined } from './examine.js'
import { duration } from '../units.js'

/** Less than the destination waits for a probe. */
const DIAL_MS = 8000
/** For the way to a helper and back. */
const GRACE_MS = 5000

export async function dataChecks(
  profile: Profile,
  source: Examined,
  destination: Examined,
): Promise<readonly Check[]> {
  if (source.client === null || destination.client === null) return []
  const routed = await routeOf(profile, source.client)
  if (routed.from === undefined) return routed.checks
  const { client, said } = destination
  return [...routed.checks, await dataCheck(profile, routed.from, source.client, { client, said })]
}

interface Routed {
  /** Where connections are expected from; null: anywhere; undefined: there is no way. */
  readonly from: string | null | undefined
  readonly checks: readonly Check[]
}

/** Which way the source's packets go. */
async function routeOf(profile: Profile, source: HelperClient): Promise<Routed> {
  const { address } = profile.destination.listen
  const route = async (to: string) =>
    (await source.request('route', { address: to }, { timeoutMs: 5000 })).from
  try {
    const from = await sourceAddress(profile, route)
    const wanted = profile.source.address
    const byRoute = wanted === null || address === '' ? wanted : await route(address)
    if (wanted === byRoute) return { from, checks: [] }
    const found = `the source’s packets to ${address} leave from ${byRoute} by its routes, and from ${wanted} by the profile`
    return { from, checks: [warn('network', 'route', found, 'check that the network takes them from there')] }
  } catch (error) {
    if (!(error instanceof FerryError)) throw error
    const found = `the source has no route to ${address}: ${error.message}`
    const remedy = 'check `destination.listen`, and the routes of the source (`ip route get`)'
    return { from: undefined, checks: [fail('network', 'route', found, remedy)] }
  }
}

/** Connections as a run makes them, with its keys and its number, made and closed. */
async function dataCheck(
  profile: Profile,
  from: string | null,
  source: HelperClient,
  destination: { readonly client: HelperClient; readonly said: readonly string[] },
): Promise<Check> {
  const meeting = meetingOf(profile)
  const { encrypt, maxStreams } = profile.transport
  let listening
  try {
    listening = await destination.client.request(
      'expect-probe',
      meeting.listen(from, source.helloReply.fingerprint),
      { timeoutMs: GRACE_MS },
    )
  } catch (error) {
    return failure('network', error, 'the destination cannot listen for data')
  }
  const target = formatListen(listening)
  const connect = meeting.connect(listening, 1, destination.client.helloReply.fingerprint)
  const linkTimeoutMs = Math.min(connect.linkTimeoutMs, DIAL_MS)
  try {
    const { roundTripUs } = await source.request(
      'probe',
      { ...connect, linkTimeoutMs },
      { timeoutMs: linkTimeoutMs + GRACE_MS },
    )
    const way = `${from === null ? '' : `from ${from} `}to ${target}`
    const how = `${maxStreams === 1 ? 'one connection' : `${maxStreams} connections`}, ${encrypt ? 'TLS 1.3' : 'in the clear, integrity: none'}`
    return ok(
      'network',
      'data',
      `data can reach the destination from the source (${way}; ${how}): there and back in ${duration(roundTripUs)}`,
    )
  } catch (error) {
    // It says why it turned a connection away, and says it to its own owner alone.
    const why = destination.said.map((line) => `; the destination ${line}`).join('')
    return failure('network', error, `no data can reach the destination from the source (${target}${why})`)
  }
}
