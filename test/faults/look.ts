/**
 * How things stand, seen without Ferry: a simulated device that runs writes its memory, which anyone may read who owns
 * the helper's process. Nothing a helper or a journal says is asked.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { isRunning } from '../support/scene.js'

/** A device of these tests writes a thousand pages a second. */
const LOOK_MS = 150
const EVERY_MS = 5

/** The pid in the lock of a state folder; undefined when its process is gone. */
export function helperOf(stateDir: string): number | undefined {
  const path = join(stateDir, 'locks', 'nic.lock')
  const pid = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
  return pid > 0 && isRunning(pid) ? pid : undefined
}

/** Whether the device of this helper writes. */
export async function writes(pid: number | undefined): Promise<boolean> {
  if (pid === undefined) return false
  const before = memoryOf(pid)
  const until = performance.now() + LOOK_MS
  for (;;) {
    const now = memoryOf(pid)
    // A process that ends while it is looked at changes nothing any more.
    if (now === undefined) return false
    if (now !== before) return true
    if (performance.now() > until) return false
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
}

/** A hash of all memfds that are workload memory; undefined when there are none, or the process is gone. */
function memoryOf(pid: number): string | undefined {
  const hash = createHash('sha1')
  let any = false
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      const path = `/proc/${pid}/fd/${name}`
      if (!readlinkSync(path).startsWith('/memfd:')) continue
      any = true
      const fd = openSync(path, 'r')
      const buffer = Buffer.alloc(1 << 20)
      for (let at = 0, count = 1; count > 0; at += count) {
        count = readSync(fd, buffer, 0, buffer.length, at)
        hash.update(buffer.subarray(0, count))
      }
      closeSync(fd)
    }
  } catch {
    return undefined
  }
  return any ? hash.digest('hex') : undefined
}

export function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length
}

/** Sockets and marks of runs that are there. */
export function leftIn(...folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  )
}
