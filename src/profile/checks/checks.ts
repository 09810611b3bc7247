/**
 * Everything beyond the shape. Parts whose shape is broken are left out and the rest is checked all the same, so that
 * an operator sees all problems at once.
 */
import * as z from 'zod'
import { checkDevices, checkSims } from './devices.js'
import { checkHolders, checkSockets } from './holders.js'
import { checkHooks } from './hooks.js'
import { checkHosts, sameHost } from './hosts.js'
import { checkMemory, type Placed } from './memory.js'
import { checkTransport } from './transport.js'
import type { ProfileFinding } from '../findings/finding.js'
import { hookSchema } from '../schema/hook.js'
import { destinationSchema, sourceSchema, transportSchema } from '../schema/host.js'
import { regionSchema } from '../schema/memory.js'
import { deviceSchema, migrationSchema, releaseSchema, trackersSchema } from '../schema/schema.js'

/** Only this of `migration` matters to other parts; the rest of it may be broken. */
const limitSchema = z.object({ downtimeLimit: migrationSchema.shape.downtimeLimit })

export function checkMeaning(raw: unknown): ProfileFinding[] {
  if (typeof raw !== 'object' || raw === null) return []
  const profile = raw as Record<string, unknown>
  const source = part(sourceSchema, profile['source'])
  const destination = part(destinationSchema, profile['destination'])
  const memory = items(regionSchema, profile['memory'], 'memory')
  const devices = items(deviceSchema, profile['devices'], 'devices').parts
  const hooks = items(hookSchema, profile['hooks'], 'hooks').parts
  const trackers = part(trackersSchema, profile['trackers'])
  const oneHost = sameHost(source, destination)
  return [
    ...checkHosts(source, destination),
    ...checkHolders(source, destination, part(releaseSchema, profile['releaseSource'] ?? null)),
    ...checkSockets(source, destination, profile['name']),
    ...checkMemory(memory.parts, oneHost),
    ...checkDevices(devices, oneHost, trackers?.forbidAll ?? false),
    ...checkSims(devices, memory.complete ? memory.parts.map(({ value }) => value) : null),
    ...checkTransport(part(transportSchema, profile['transport']), source, destination),
    ...checkHooks(hooks, part(limitSchema, profile['migration'])?.downtimeLimit ?? null),
  ]
}

/** A part on its own, defaults filled in; undefined when its shape is broken. */
function part<T extends z.ZodType>(schema: T, raw: unknown): z.output<T> | undefined {
  const result = schema.safeParse(raw === undefined ? {} : raw)
  return result.success ? result.data : undefined
}

function items<T extends z.ZodType>(
  schema: T,
  raw: unknown,
  key: string,
): { readonly parts: Placed<z.output<T>>[]; readonly complete: boolean } {
  const list: unknown[] = Array.isArray(raw) ? raw : []
  const parts = list.flatMap((item, index) => {
    const result = schema.safeParse(item)
    return result.success ? [{ path: [key, index], value: result.data }] : []
  })
  return { parts, complete: Array.isArray(raw) && parts.length === list.length }
}
