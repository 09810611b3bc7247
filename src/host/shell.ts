/** Words for a POSIX shell on another host: ssh hands it one string, whatever we give. */

/** Quoted so that any shell of the Bourne family, and fish, reads back the very word. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./~-]+$/u.test(word) && !word.startsWith('~')
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`
}

export function shellLine(words: readonly string[]): string {
  return words.map(shellQuote).join(' ')
}

export interface Wrapping {
  readonly become?: 'sudo' | null | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** The command gets an end of its own: when stdin ends, it and all it started are stopped. */
  readonly lifeline?: boolean | undefined
}

/**
 * A process on the other side of an ssh connection is not told when ssh is killed here. So its stdin is kept as a
 * lifeline: at its end the command's process group gets SIGTERM, and two seconds later SIGKILL. The command itself
 * reads /dev/null. In one line, because a login shell such as csh does not take newlines within quotes.
 */
const LIFELINE = [
  'exec 3<&0',
  'setsid "$@" </dev/null 3<&- & c=$!',
  '{ cat <&3; kill -TERM -"$c" || kill -TERM "$c"; sleep 2; kill -KILL -"$c"; } >/dev/null 2>&1 & w=$!',
  'exec 3<&-',
  'wait "$c"; s=$?',
  'kill "$w" 2>/dev/null',
  'exit "$s"',
].join('; ')

/**
 * The command with what goes before it. sudo never asks: `-n`. The environment is set behind sudo, which clears it.
 *
 * @throws TypeError for what cannot be a variable's name: it would be read as something else.
 */
export function wrapped(
  command: readonly string[],
  { become, env = {}, lifeline }: Wrapping,
): readonly string[] {
  const names = Object.keys(env)
  const wrong = names.find((name) => !/^[A-Za-z_]\w*$/u.test(name))
  if (wrong !== undefined) throw new TypeError(`${JSON.stringify(wrong)} cannot be the name of a variable`)
  return [
    ...(become === 'sudo' ? ['sudo', '-n', '--'] : []),
    ...(lifeline === true ? ['sh', '-c', LIFELINE, 'sh'] : []),
    ...(names.length > 0 ? ['env', ...names.map((name) => `${name}=${env[name] ?? ''}`)] : []),
    ...command,
  ]
}
