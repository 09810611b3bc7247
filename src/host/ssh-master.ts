/**
 * One connection to a host, shared by everything ferry does there (ssh_config(5), ControlMaster).
 *
 * The ssh that makes it is ours, in the foreground, and its session is a `cat` that reads our pipe: when ferry ends,
 * however it ends, the pipe closes, `cat` ends and the connection with it. Nothing has to be told to go.
 */
import type { ErrorCode } from '../error-code.js'
import { SOCKET_PATH_BYTES } from '../limits.js'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Connection, HelperEnd } from './connection.js'
import { LineReader } from './lines.js'
import { startProcess } from './process.js'
import { explainSsh, sshArguments, sshProgram } from './ssh.js'

export interface Master {
  readonly controlPath: string
  readonly keepaliveMs: number
  /** How long connecting and logging in took. */
  readonly connectMs: number
  /** The connection is gone; with ssh's own words. */
  readonly ended: Promise<HelperEnd>
  readonly isAlive: () => boolean
  close(): Promise<void>
}

/** ssh's own ConnectTimeout does not count a ProxyCommand or a login shell that hangs. */
const CONNECT_MS = 120_000
const CLOSE_MS = 1000
const READY = 'ferry-is-in'
/** ssh makes the socket under a name 17 longer first (muxserver_listen). */
const LONGEST_PATH = SOCKET_PATH_BYTES - 17

let folder: string | undefined
let sockets = 0
let cleansUp = false
const masters = new Set<Connection>()

/** Connects and logs in. A FerryError `link/ssh` that says what to do when that fails. */
export async function connectMaster(host: string, keepaliveMs: number): Promise<Master> {
  const controlPath = join(socketFolder(), String(++sockets))
  const startedMs = performance.now()
  const connection = startProcess(
    sshProgram(),
    // The login shell may print what it likes before; `exec` leaves nothing behind that could outlive the pipe.
    sshArguments(host, `sh -c 'echo ${READY}; exec cat'`, { controlPath, master: true, keepaliveMs }),
    `ssh to ${host}`,
    undefined,
    (status, stderr) => explainSsh(host, status, stderr),
  )
  masters.add(connection)
  let alive = true
  const ended = connection.ended.then((end) => {
    alive = false
    masters.delete(connection)
    return end
  })
  connection.stdin.on('error', () => undefined)
  connection.stdout.on('error', () => undefined)
  await ready(host, connection, ended)
  // From here on only a command that runs on it keeps ferry waiting.
  connection.unref()
  return {
    controlPath,
    keepaliveMs,
    connectMs: performance.now() - startedMs,
    ended,
    isAlive: () => alive,
    close: async () => {
      connection.stdin.end()
      const timer = setTimeout(() => connection.kill('SIGTERM'), CLOSE_MS)
      await ended
      clearTimeout(timer)
    },
  }
}

function ready(host: string, connection: Connection, ended: Promise<HelperEnd>): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (message: string, suggestion: string, code: ErrorCode = 'link/ssh'): void => {
      clearTimeout(timer)
      reject(new FerryError({ code, exit: EXIT.error, message, suggestions: [suggestion] }))
    }
    const timer = setTimeout(() => {
      connection.kill('SIGKILL')
      fail(
        `${host}: ssh did not get through within ${CONNECT_MS / 1000} s`,
        `try \`ssh ${host} true\` by hand`,
      )
    }, CONNECT_MS)
    const reader = new LineReader()
    connection.stdout.on('data', (chunk: Buffer) => {
      if (!reader.push(chunk).some((line) => line.kind === 'line' && line.text.trim() === READY)) return
      clearTimeout(timer)
      resolve()
    })
    void ended.then((end) => {
      const { code, message, suggestion } = end.explanation ?? {
        code: 'link/ssh',
        message: `${host}: the session ended at once (status ${end.exitCode})`,
        suggestion: `check that \`ssh ${host} true\` works by hand`,
      }
      fail([message, ...end.stderr].join('\n  '), suggestion, code === 'helper/spawn' ? 'link/ssh' : code)
    })
  })
}

/**
 * Of this process alone (0700), gone with it. Not in the user's runtime folder if it can be helped: that one goes with
 * the user's last session, and a detached run needs its connections for longer.
 */
function socketFolder(): string {
  if (folder !== undefined) return folder
  const runtime = process.env['XDG_RUNTIME_DIR']
  for (const parent of [tmpdir(), '/tmp', runtime]) {
    if (
      parent === undefined ||
      parent === '' ||
      Buffer.byteLength(join(parent, 'ferry-XXXXXX', '000')) > LONGEST_PATH
    )
      continue
    try {
      folder = mkdtempSync(join(parent, 'ferry-'))
      break
    } catch {
      // Not there, or not ours to write to: the next one.
    }
  }
  if (folder === undefined) {
    throw new FerryError({
      code: 'link/socket-folder',
      exit: EXIT.error,
      message: 'no folder for the sockets of ssh connections can be made',
      suggestions: ['set XDG_RUNTIME_DIR or TMPDIR to a folder of yours with a short path'],
    })
  }
  if (!cleansUp) process.once('exit', removeSockets)
  cleansUp = true
  return folder
}

/** Ends what connections there still are, and removes their folder. */
export function removeSockets(): void {
  for (const connection of masters) connection.kill('SIGTERM')
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  folder = undefined
}
