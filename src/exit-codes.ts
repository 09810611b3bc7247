/**
 * What a script may branch on: the one table of exit codes. Help, docs/commands.md, docs/codes.md and the tests are made from it.
 * Numbers never change their meaning once released.
 */
export const EXIT_CODES = {
  done: { exit: 0, meaning: 'done and verified' },
  error: { exit: 1, meaning: 'error, nothing changed' },
  usage: { exit: 2, meaning: 'bad usage: a flag, an argument or the profile' },
  blocked: { exit: 3, meaning: 'blocked before the start; every blocker is listed' },
  cancelled: { exit: 4, meaning: 'cancelled, the source is running and checked' },
  rolledBack: { exit: 5, meaning: 'failed and rolled back, the source is running and checked' },
  needsPerson: { exit: 6, meaning: 'failed, manual action needed; the device is named' },
  downtimeLimit: { exit: 7, meaning: 'the downtime limit would be passed' },
  sidesDisagree: { exit: 8, meaning: 'the two sides disagree' },
  unknown: { exit: 9, meaning: 'outcome unknown; the run id is printed' },
} as const

export type ExitName = keyof typeof EXIT_CODES
export type ExitCode = (typeof EXIT_CODES)[ExitName]['exit']

/** `EXIT.blocked` is 3. */
export const EXIT = {
  done: EXIT_CODES.done.exit,
  error: EXIT_CODES.error.exit,
  usage: EXIT_CODES.usage.exit,
  blocked: EXIT_CODES.blocked.exit,
  cancelled: EXIT_CODES.cancelled.exit,
  rolledBack: EXIT_CODES.rolledBack.exit,
  needsPerson: EXIT_CODES.needsPerson.exit,
  downtimeLimit: EXIT_CODES.downtimeLimit.exit,
  sidesDisagree: EXIT_CODES.sidesDisagree.exit,
  unknown: EXIT_CODES.unknown.exit,
} as const satisfies { readonly [N in ExitName]: (typeof EXIT_CODES)[N]['exit'] }
