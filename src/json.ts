/** JSON as ferry prints it: bigints (bytes, IOVAs) become decimal strings, so that nothing is rounded. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, entry: unknown) => (typeof entry === 'bigint' ? entry.toString() : entry),
    indent,
  )
}
