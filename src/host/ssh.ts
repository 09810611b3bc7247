/**
 * What ferry says to the system's ssh, and what ssh's failures mean. Keys, agents, jump hosts and the known_hosts
 * policy are the operator's own: only what would ask somebody, or would stand in the way of a second session, is set.
 */
import type { Explanation } from './process.js'

/** ssh's own failures exit with 255; a command it ran exits with that command's status. */
export const SSH_FAILED = 255
const NOT_FOUND = 127
const NOT_RUNNABLE = 126
/** `ferry-helper --attach` when no helper answers at the socket. */
const NOBODY = 3

export interface SshOptions {
  /** Socket of the connection that all sessions to the host share. */
  readonly controlPath: string
  /** Whether this ssh makes the connection, or takes part in it. */
  readonly master: boolean
  /** A dead host is noticed within this time. */
  readonly keepaliveMs: number
}

export function sshProgram(): string {
  return process.env['FERRY_SSH'] || 'ssh'
}

/** The arguments of ssh: no terminal, never ask anybody, one connection a host, notice a dead one. */
export function sshArguments(host: string, command: string, options: SshOptions): readonly string[] {
  const { count, interval } = serverAlive(options.keepaliveMs)
  const set = [
    'BatchMode=yes',
    'ConnectTimeout=10',
    `ServerAliveInterval=${interval}`,
    `ServerAliveCountMax=${count}`,
    `ControlMaster=${options.master ? 'yes' : 'no'}`,
    `ControlPath=${options.controlPath}`,
    // Not in the background: the connection ends with the ferry that made it.
    'ControlPersist=no',
    // Forwarded ports of the operator's configuration can be bound once only; a configured command displaces ours.
    'ClearAllForwardings=yes',
    'RemoteCommand=none',
    // What ssh says of a failure is wanted, also by those who silenced it for themselves.
    'LogLevel=INFO',
  ]
  return ['-T', ...set.flatMap((option) => ['-o', option]), ...destination(host), command]
}

/** ssh reads an IPv6 address neither in brackets nor behind ssh:// (OpenSSH 9.2): it wants it bare, and the port apart. */
function destination(host: string): readonly string[] {
  const six = /^(?:ssh:\/\/)?(?<user>[^@[]*@)?\[(?<address>[^\]]+)\](?::(?<port>\d+))?$/u.exec(host)?.groups
  if (six === undefined) return ['--', host]
  const { address = '', port, user = '' } = six
  return [...(port === undefined ? [] : ['-p', port]), '--', `${user}${address}`]
}

/**
 * ssh asks a silent server every `interval` seconds and gives up when `count` questions in a row went unanswered, so
 * after interval * (count + 1) seconds (ssh_config(5), clientloop.c). Whole seconds: below 2 s nothing can be noticed.
 */
export function serverAlive(keepaliveMs: number): { readonly interval: number; readonly count: number } {
  const seconds = Math.max(2, Math.floor(keepaliveMs / 1000))
  const interval = Math.max(1, Math.floor(seconds / 4))
  return { interval, count: Math.max(1, Math.floor(seconds / interval) - 1) }
}

/** What an exit status of ssh itself means; null when the connection is not to blame. */
export function explainSsh(
  host: string,
  status: number | null,
  stderr: readonly string[],
): Explanation | null {
  if (status !== SSH_FAILED) return null
  const text = stderr.join('\n')
  const [, what, remedy] = SSH_ERRORS.find(([pattern]) => pattern.test(text)) ?? UNKNOWN
  return { code: 'link/ssh', message: `${host}: ${what}`, suggestion: remedy.replaceAll('HOST', host) }
}

/** Whether ssh says so itself, and not a command whose status was 255 by chance. */
export function isSshFailure(stderr: readonly string[]): boolean {
  const text = stderr.join('\n')
  return SSH_ERRORS.some(([pattern]) => pattern.test(text)) || /^(?:ssh|mux_client\w*|kex_\w+): /mu.test(text)
}

const UNKNOWN = [null, 'ssh failed', 'try `ssh HOST true` by hand'] as const
const SSH_ERRORS: readonly (readonly [RegExp, string, string])[] = [
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/u,
    'its host key is unknown or has changed',
    'check it, then `ssh HOST` once by hand',
  ],
  [
    /Permission denied \(|Too many authentication failures/u,
    'ssh login refused',
    'load a key into the agent: ferry cannot ask for a password or passphrase',
  ],
  [/Could not resolve hostname/u, 'its name does not resolve', 'check `host:` in the profile'],
  [/Connection refused/u, 'nothing answers on its ssh port', 'check that sshd runs on HOST'],
  [/Connection timed out|No route to host|unreachable/u, 'it cannot be reached', 'check the network to HOST'],
  [
    /Bad configuration option|keyword \S+ extra arguments|Bad owner or permissions/u,
    'ssh refuses its own configuration',
    'try `ssh HOST true` by hand',
  ],
  [
    /not responding|Connection (?:\S+ )*(?:closed|reset)|closed by remote host|Broken pipe|terminated unexpectedly|timed out/u,
    'the ssh connection broke',
    'check the network to HOST',
  ],
]

/** What was to be run at the end of the connection, for messages. */
export interface Target {
  /** "this host", "node-b". */
  readonly host: string
  readonly helper: string
  readonly attach?: string | undefined
  readonly become?: 'sudo' | null | undefined
}

/** What a helper's exit status means when it never got to serve; null when it is the helper's own. */
export function explainHelper(
  target: Target,
  status: number | null,
  stderr: readonly string[],
): Explanation | null {
  const { attach, become, helper, host } = target
  const text = stderr.join('\n')
  if (become === 'sudo' && status !== 0) {
    const refusal = explainSudo(host, stderr)
    if (refusal !== null) return refusal
  }
  if (status === NOBODY && attach !== undefined && /^attach:/mu.test(text)) {
    return {
      code: 'holder/none',
      message: `nothing answers at ${attach} on ${host}`,
      suggestion: '`ferry hold PROFILE` starts a holder; `ferry doctor` looks at the host',
    }
  }
  if (status === NOT_FOUND || status === NOT_RUNNABLE) {
    return {
      code: 'helper/missing',
      message: `${host} was reached, but ${helper} cannot be run there`,
      suggestion: `check \`helper:\` of the profile; a folder mounted noexec cannot hold it either`,
    }
  }
  if (/version `GLIBC_[\d.]+' not found/u.test(text)) {
    return {
      code: 'helper/missing',
      message: `${helper} needs a newer C library than ${host} has`,
      suggestion: 'use a static build of ferry-helper (`npm run build:helper` makes one)',
    }
  }
  return null
}

/** Why sudo did not run the command, for which its own words are to be shown; null when it was not sudo that spoke. */
export function explainSudo(host: string, stderr: readonly string[]): Explanation | null {
  const text = stderr.join('\n')
  if (/sudo: (?:command )?not found|sudo: No such file/u.test(text)) {
    return {
      code: 'link/sudo',
      message: `${host} has no sudo`,
      suggestion: `install it there, or reach ${host} as root and drop \`become\``,
    }
  }
  if (!/^sudo: |^Sorry, user |is not in the sudoers file/mu.test(text)) return null
  return {
    code: 'link/sudo',
    message: `${host}: sudo refused to make ferry root`,
    suggestion: `allow it without a password (NOPASSWD in sudoers on ${host}), or reach ${host} as root and drop \`become\``,
  }
}
