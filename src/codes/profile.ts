import { PROFILE_CODES, type ProfileCode } from '../profile/findings/codes.js'
import { withMeanings, type Advice, type Family } from './code.js'

const ADVICE: Readonly<Record<ProfileCode, Advice>> = {
  'profile/unreadable': {
    cause: 'The path is wrong, or this user may not read the file.',
    remedy: 'Check the path and the permissions of the file.',
  },
  'profile/too-large': {
    cause: 'Another file was named by mistake, or data was pasted into the profile.',
    remedy: 'Name the right file, or remove what does not belong in a profile.',
  },
  'profile/encoding': {
    cause: 'The file is binary, or was saved in another encoding such as Latin-1 or UTF-16.',
    remedy: 'Save the file as UTF-8.',
  },
  'profile/syntax': {
    cause: 'A quote, bracket or colon is missing, or the indentation is uneven.',
    remedy: 'Correct the text at the line and column given.',
  },
  'profile/tab-indent': {
    cause: 'An editor put a tab at the start of a line, and YAML forbids that.',
    remedy: 'Indent with spaces.',
  },
  'profile/too-deep': {
    cause: 'Lists or mappings are nested far deeper than any profile needs.',
    remedy: "Take levels away; the profile's keys need only a few.",
  },
  'profile/too-many-aliases': {
    cause: 'YAML aliases refer to one another and multiply.',
    remedy: 'Write the values out instead of using aliases.',
  },
  'profile/duplicate-key': {
    cause: 'A block was copied and its key was not changed.',
    remedy: 'Keep one of the two keys.',
  },
  'profile/empty': {
    cause: 'The file has only comments, or nothing reached standard input.',
    remedy: 'Write a profile, or start from one in `profiles/`.',
  },
  'profile/unknown-key': {
    cause: 'The key is misspelled, or stands at the wrong level.',
    remedy: 'Correct the key; the message names the nearest one that exists.',
  },
  'profile/missing-key': {
    cause: 'The profile leaves out something that has no default.',
    remedy: 'Add the key that the message names.',
  },
  'profile/wrong-type': {
    cause: 'A text stands where a list or mapping is needed, or a number needs quotes.',
    remedy: 'Give a value of the type that the message names.',
  },
  'profile/invalid-value': {
    cause: 'The value is misspelled, or lies outside the range allowed.',
    remedy: 'Use one of the values that the message lists.',
  },
  'profile/version': {
    cause: 'The profile was written for another release of Ferry.',
    remedy: 'Use `version: 1`, or a Ferry that reads this version.',
  },
  'profile/name': {
    cause: 'The name is too long, or has characters other than letters, digits, `.`, `_` and `-`.',
    remedy: 'Use up to 64 such characters, with a letter or digit first.',
  },
  'profile/size': {
    cause: 'The number has no unit or a unit that Ferry does not know.',
    remedy: 'Write a size such as 512MiB or 4GiB.',
  },
  'profile/time': {
    cause: 'The number has no unit or a unit that Ferry does not know.',
    remedy: 'Write a time such as 300ms or 10s.',
  },
  'profile/rate': {
    cause: 'The number has no unit or a unit that Ferry does not know.',
    remedy: 'Write a rate such as 100MiB/s or 10Gbit/s.',
  },
  'profile/percent': {
    cause: 'The percent sign is missing, or the number lies outside the range allowed.',
    remedy: 'Write a whole percentage from 0% to 100%.',
  },
  'profile/bdf': {
    cause: 'The domain is missing, or a digit is not hexadecimal.',
    remedy: 'Write the address as `ferry devices` shows it, such as 0000:3b:00.2.',
  },
  'profile/uuid': {
    cause: 'The UUID is incomplete or has other characters in it.',
    remedy: 'Copy the UUID from `ferry devices`.',
  },
  'profile/host': {
    cause: 'The host is empty, or has characters that ssh would take for something else.',
    remedy: 'Write the host as you would give it to `ssh`.',
  },
  'profile/become': {
    cause: 'A side on the host where Ferry itself runs has `become`.',
    remedy: 'Remove `become`, and run Ferry with sudo where root is needed.',
  },
  'profile/listen': {
    cause: 'The address stands for all interfaces, or only the destination itself can reach it.',
    remedy: 'Give an address of the destination that the source can connect to.',
  },
  'profile/path': {
    cause: 'The path is relative, or too long for the sockets that are made below it.',
    remedy: 'Write a path from the root, beginning with a slash; a state folder needs a short one.',
  },
  'profile/address': {
    cause: 'A host name or a malformed number stands where an IP address is needed.',
    remedy: 'Write an IPv4 or IPv6 address.',
  },
  'profile/interface': {
    cause: 'The name is not one that an interface can have, or the profile moves data over loopback alone.',
    remedy: 'Use a name that `ip -brief link` shows on that host, or remove `transport.loopback`.',
  },
  'profile/transport': {
    cause:
      '`transport.loopback` or `transport.insecure` does not fit the hosts or the address of the profile.',
    remedy:
      'Remove the key, and the data is encrypted; or use `loopback` on one host, and `insecure` with a reason on a network.',
  },
  'profile/hook': {
    cause: 'The hook names a point, side or host at which it cannot run.',
    remedy: 'Change the hook as the message says.',
  },
  'profile/hold': {
    cause: 'Source and destination would hold one workload in one state folder of one host.',
    remedy:
      'Give the two sides different folders with `stateDir`, or let the destination close or start its program.',
  },
  'profile/exactly-one': {
    cause: 'None, or more than one, of several alternative keys is given.',
    remedy: 'Keep exactly one of the keys that the message lists.',
  },
  'profile/unset-variable': {
    cause: 'The environment variable is not exported to Ferry.',
    remedy: 'Export it, or write ${NAME:-default}.',
  },
  'profile/variable-syntax': {
    cause: 'A brace is missing, or a dollar sign was meant literally.',
    remedy: 'Close the brace, or write $$ for a dollar sign.',
  },
  'profile/override': {
    cause: 'The path given to --set does not exist, or its value cannot be read.',
    remedy: 'Check the key path and the value; `ferry validate --print` shows the keys.',
  },
  'profile/region-empty': {
    cause: 'The size of the region is zero.',
    remedy: 'Give the region a size, or remove it.',
  },
  'profile/region-misaligned': {
    cause: 'The start or the size is not a multiple of the page size.',
    remedy: 'Round both to whole pages.',
  },
  'profile/region-past-end': {
    cause: 'The start and the size together are too large.',
    remedy: 'Lower the start or the size.',
  },
  'profile/region-overlap': {
    cause: 'Two regions cover some of the same IOVAs.',
    remedy: 'Move or shrink one of them.',
  },
  'profile/duplicate-region': {
    cause: 'A block was copied and its name was not changed.',
    remedy: 'Give each region its own name.',
  },
  'profile/same-file': {
    cause: 'Two regions, or source and destination on one host, would write to the same file.',
    remedy: 'Give each its own file.',
  },
  'profile/duplicate-device': {
    cause: 'A block was copied and its name was not changed.',
    remedy: 'Give each device its own name.',
  },
  'profile/device-twice': {
    cause: 'Two entries name the same device of the same host.',
    remedy: 'Name each device once.',
  },
  'profile/sim-mismatch': {
    cause: 'The simulated source and destination differ in something both must share.',
    remedy: 'Give both sides the same values.',
  },
  'profile/sim-window': {
    cause: 'The window of the simulated device is not inside one memory region.',
    remedy: 'Move or shrink the window, or enlarge the region.',
  },
  'profile/sim-state': {
    cause: "The sizes of the simulated device's state contradict each other or its limits.",
    remedy: 'Correct the sizes as the message says.',
  },
  'profile/impossible-choice': {
    cause: 'The profile combines a backend, a tracker or a container that do not work together.',
    remedy: 'Remove one of the choices; without it, Ferry chooses by itself.',
  },
  'profile/streams': {
    cause: 'The number of connections allowed is smaller than the number of streams asked for.',
    remedy: 'Raise `transport.maxStreams`, or remove it.',
  },
}

export const PROFILE_FAMILY: Family = {
  name: 'profile',
  title: 'Profiles',
  where: '`ferry validate`, and every command that reads a profile',
  codes: {
    'profile/invalid': {
      meaning: 'The profile has problems, which are listed with their places.',
      cause: 'At least one line, value or combination of the profile is wrong.',
      remedy: 'Correct the listed problems; each has a code of its own.',
    },
    ...withMeanings(PROFILE_CODES, ADVICE),
  },
}
