/** What `ferry doctor` says of a host: a list of checks, from the way to it up to the room it has. */
import { FerryError } from '../errors.js'
import type { Finding } from '../finding.js'
import type { Role } from '../protocol/protocol.js'

/** In the order in which they are looked at: what stands below needs what stands above. */
export const LAYERS = [
  'ssh',
  'helper',
  'root',
  'confinement',
  'kernel',
  'vfio',
  'iommufd',
  'iommu',
  'memlock',
  'memory',
  'huge-pages',
  'state',
  'clock',
  'network',
] as const
export type Layer = (typeof LAYERS)[number]
/** warn: something will not work, or only in part; fail: what was asked for will not work. */
export type Level = 'ok' | 'warn' | 'fail'

export interface Check extends Finding {
  readonly layer: Layer
  readonly level: Level
  /** Stable, "doctor/what": what a script branches on. */
  readonly code: string
  /** What to do; null when there is nothing. */
  readonly remedy: string | null
}
export interface HostReport {
  /** "local", or as ssh takes it. */
  readonly host: string
  /** Its own name; null when it was not reached. */
  readonly hostname: string | null
  /** What the profile wants of it; empty without a profile. */
  readonly sides: readonly Role[]
  readonly checks: readonly Check[]
  /** Layers that could not be looked at, because one below them failed. */
  readonly unseen: readonly Layer[]
}
export interface Diagnosis {
  readonly hosts: readonly HostReport[]
  /** Nothing failed. */
  readonly sound: boolean
}

export function ok(layer: Layer, code: string, found: string): Check {
  return { layer, level: 'ok', code: `doctor/${code}`, found, remedy: null }
}
export function warn(layer: Layer, code: string, found: string, remedy: string): Check {
  return { layer, level: 'warn', code: `doctor/${code}`, found, remedy }
}
export function fail(layer: Layer, code: string, found: string, remedy: string): Check {
  return { layer, level: 'fail', code: `doctor/${code}`, found, remedy }
}
/**
 * What failed as a check, under the failure's own code.
 *
 * @throws an error that is not a FerryError: a bug is not turned into a finding.
 */
export function failure(layer: Layer, error: unknown, doing?: string): Check {
  if (!(error instanceof FerryError)) throw error
  const found = doing === undefined ? error.message : `${doing}: ${error.message}`
  return { ...fail(layer, error.code, found, error.suggestions.join('; ')), code: error.code }
}
/** A failure where the profile needs it, a warning where no profile says what is needed. */
export function lack(
  needed: boolean | null,
  layer: Layer,
  code: string,
  found: string,
  remedy: string,
): readonly Check[] {
  if (needed === false) return []
  return [needed === true ? fail(layer, code, found, remedy) : warn(layer, code, found, remedy)]
}
