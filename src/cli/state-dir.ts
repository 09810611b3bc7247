import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** Where journals and locks live: what --state-dir or $FERRY_STATE_DIR names, else the user's state folder. */
export function stateFolder(given: string | undefined): string {
  return resolve(given ?? join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'ferry'))
}
