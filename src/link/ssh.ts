/**
 * A helper on another host, through the system's ssh: keys, agents, jump hosts and the known_hosts policy are the
 * operator's own. One connection carries the control lines only; memory never passes through it.
 */
import type { Connection, HelperEnd } from './connection.js'
import { startProcess } from './spawn.js'

/** ssh's own failures exit with 255; a command it ran exits with that command's status. */
const SSH_FAILED = 255
const NOT_FOUND = 127
const NOT_RUNNABLE = 126

/** The arguments of ssh: no terminal, never ask anybody, notice a dead host within 30 s. */
export function sshArguments(host: string, helper: string): readonly string[] {
  const options = ['BatchMode=yes', 'ConnectTimeout=10', 'ServerAliveInterval=10', 'ServerAliveCountMax=3']
  // The remote shell reads the command, so the path is quoted for it.
  return ['-T', ...options.flatMap((option) => ['-o', option]), '--', host, shellQuote(helper), '--serve']
}

export function sshHelper(host: string, helper: string, onStderr?: (line: string) => void): Connection {
  const program = process.env['FERRY_SSH'] || 'ssh'
  return startProcess(
    program,
    sshArguments(host, helper),
    `ferry-helper on ${host} (ssh)`,
    onStderr,
    (status, stderr) => explainSsh(host, helper, status, stderr),
  )
}

/** What an exit status of ssh means; null when it is the helper's own. */
export function explainSsh(
  host: string,
  helper: string,
  status: number | null,
  stderr: readonly string[],
): NonNullable<HelperEnd['explanation']> | null {
  if (status === NOT_FOUND || status === NOT_RUNNABLE) {
    return {
      code: 'helper/missing',
      message: `ssh reached ${host}, but ${helper} cannot be run there`,
      suggestion: `install ferry-helper on ${host}, or name its path with \`helper:\` in the profile`,
    }
  }
  if (status !== SSH_FAILED) return null
  const text = stderr.join('\n')
  const known = SSH_ERRORS.find(([pattern]) => pattern.test(text))
  const [, what, remedy] = known ?? [null, 'ssh failed', `try \`ssh ${host} true\` by hand`]
  return { code: 'link/ssh', message: `${host}: ${what}`, suggestion: remedy.replaceAll('HOST', host) }
}

const SSH_ERRORS: readonly (readonly [RegExp, string, string])[] = [
  [
    /Host key verification failed/u,
    'its host key is unknown or has changed',
    'check it, then `ssh HOST` once by hand',
  ],
  [/Permission denied/u, 'ssh was not let in', 'load a key into the agent: ferry cannot ask for a password'],
  [/Could not resolve hostname/u, 'its name does not resolve', 'check `host:` in the profile'],
  [/Connection refused/u, 'nothing answers on its ssh port', 'check that sshd runs on HOST'],
  [/timed out|No route to host|unreachable/u, 'it cannot be reached', 'check the network to HOST'],
  [
    /not responding|Connection (closed|reset)|Broken pipe/u,
    'the ssh connection broke',
    'check the network to HOST',
  ],
]

function shellQuote(word: string): string {
  return /^[\w@%+=:,./~-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
