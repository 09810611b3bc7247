import { randomBytes } from 'node:crypto'

/** A run id: UTC second and two random bytes, e.g. 20261122T151733-4f2a. Ids sort by time. */
export function newRunId(now: Date = new Date(), random: Buffer = randomBytes(2)): string {
  const stamp = now.toISOString().replace(/[-:]/gu, '').slice(0, 15)
  return `${stamp}-${random.toString('hex')}`
}

/** Whether `text` has the form of a run id. */
export function isRunId(text: string): boolean {
  return /^\d{8}T\d{6}-[0-9a-f]{4}$/u.test(text)
}
