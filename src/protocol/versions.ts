/**
 * Versions of the control protocol: this release's and that of the release before, so that a helper that has kept
 * devices for months can be asked to move them by a newer ferry. What a version has is recorded in
 * test/protocol/recorded, and never changed while the version is spoken.
 *
 * What is asked is strict: a helper refuses a request with a parameter it does not know, so an older one is never sent
 * one ({@link needsNewer}). What is told is open: fields of replies and events that ferry does not know are passed over.
 */
export const PROTOCOL_VERSION = 3
export const OLDEST_PROTOCOL_VERSION = 2

/**
 * What each version brought: a request (`op`), a parameter (`op.key`, `op.key.inner`; lists are passed through), or a
 * value (`op.key=value`). A version that is spoken no more leaves with its line.
 */
const SINCE: Readonly<Record<number, readonly string[]>> = {
  3: ['claim.graceMs', 'claim.then', 'record.forget', 'record.locks', 'take-up', 'track.trackers.process'],
}

/** The first thing in this request that a helper of `version` does not know, and the version that brought it. */
export function needsNewer(
  version: number,
  op: string,
  params: unknown,
  since: Readonly<Record<number, readonly string[]>> = SINCE,
): { readonly what: string; readonly version: number } | undefined {
  const newer = Object.entries(since).filter(([brought]) => Number(brought) > version)
  if (newer.every(([, names]) => names.length === 0)) return undefined
  const here = new Set(namesIn(op, params))
  for (const [brought, names] of newer) {
    const what = names.find((name) => here.has(name))
    if (what !== undefined) return { what, version: Number(brought) }
  }
  return undefined
}

/** A request as names of what it uses. */
export function namesIn(name: string, value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => namesIn(name, item))
  if (typeof value === 'object' && value !== null) {
    return [name, ...Object.entries(value).flatMap(([key, inner]) => namesIn(`${name}.${key}`, inner))]
  }
  return typeof value === 'string' ? [name, `${name}=${value}`] : [name]
}
