/** The private folder of a user's running things, and the sockets of runs in it. */
import { SOCKET_PATH_BYTES } from '../limits.js'
import { chmodSync, lstatSync, mkdirSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'

/** $XDG_RUNTIME_DIR/ferry, for root without one /run/ferry, else the lasting one, <state-dir>/run. */
export function runtimeFolder(
  stateDir: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  uid = process.getuid?.() ?? 0,
): string {
  const xdg = env['XDG_RUNTIME_DIR']
  if (xdg && isAbsolute(xdg)) return join(xdg, 'ferry')
  return uid === 0 ? '/run/ferry' : lastingFolder(stateDir)
}

/** Where a run is served whose runtime folder went with its user's last session. */
export function lastingFolder(stateDir: string): string {
  return join(stateDir, 'run')
}

export function runSocket(folder: string, run: string): string {
  return join(folder, 'runs', `${run}.sock`)
}

/**
 * Makes the folder that a run's socket goes into, 0700, and sees to it that no other user could put anything there.
 *
 * @throws FerryError when it cannot be made, is not ours, or the path is too long for a socket.
 */
export function prepareRuns(folder: string, run: string): string {
  const socket = runSocket(folder, run)
  const bytes = Buffer.byteLength(socket)
  if (bytes > SOCKET_PATH_BYTES) {
    throw unusableFolderError(
      `the path of the run's socket is ${bytes} bytes long, and the kernel takes ${SOCKET_PATH_BYTES}: ${socket}`,
      'set XDG_RUNTIME_DIR, or name a shorter folder with --state-dir',
    )
  }
  const runs = join(folder, 'runs')
  try {
    mkdirSync(runs, { recursive: true, mode: 0o700 })
    const facts = lstatSync(runs)
    const uid = process.getuid?.() ?? facts.uid
    if (!facts.isDirectory()) throw unusableFolderError(`${runs} is not a folder`, 'move it out of the way')
    if (facts.uid !== uid) {
      throw unusableFolderError(
        `${runs} belongs to uid ${facts.uid}, not to uid ${uid} who runs ferry`,
        'set XDG_RUNTIME_DIR to a folder of your own',
      )
    }
    if ((facts.mode & 0o077) !== 0) chmodSync(runs, 0o700)
    return socket
  } catch (error) {
    if (error instanceof FerryError) throw error
    throw fromSystemError(error, {
      code: 'control/folder',
      exit: EXIT.error,
      message: `the folder ${runs} for the run's socket cannot be used; nothing was started`,
      suggestions: ['set XDG_RUNTIME_DIR to a folder you may write to'],
    })
  }
}

function unusableFolderError(message: string, suggestion: string): FerryError {
  return new FerryError({
    code: 'control/folder',
    exit: EXIT.error,
    message: `${message}; nothing was started`,
    suggestions: [suggestion],
  })
}
