import type { Family } from './code.js'

export const HOLDER_FAMILY: Family = {
  name: 'holder',
  title: 'Helper processes',
  where:
    'helpers that share a host: claims on devices, their sockets, their owners, and the hand-out of descriptors',
  codes: {
    'claim/busy': {
      meaning: 'Another run or holder uses a device of this workload.',
      cause: 'It is still under way, or holds the workload.',
      remedy: 'Wait for it or end it; `ferry release --hold PROFILE` ends a holder.',
    },
    'claim/dir': {
      meaning: 'The folder of claims cannot be used.',
      cause: 'It cannot be created or read.',
      remedy: 'Check the state folder of that host.',
    },
    'claim/unsafe-dir': {
      meaning: 'The folder of claims could be changed by other users.',
      cause: 'It has another owner, or is writable for others.',
      remedy: 'Give it to that user with mode 0700, or choose another state folder.',
    },
    'socket/path': {
      meaning: 'The path of the socket of the helper is too long or not absolute.',
      cause: 'The state folder has a long path.',
      remedy: 'Choose a state folder with a shorter path.',
    },
    'socket/bind': {
      meaning: 'The socket of the helper cannot be made.',
      cause: 'The folder is not writable.',
      remedy: 'Check the state folder of that host.',
    },
    'socket/busy': {
      meaning: 'Another helper answers at this socket.',
      cause: 'The workload already has a holder.',
      remedy: 'Use that one, or end it with `ferry release --hold PROFILE`.',
    },
    'socket/not-a-socket': {
      meaning: 'Something other than a socket is at the path.',
      cause: 'A file was put there.',
      remedy: 'Move it away.',
    },
    'owner/closed': {
      meaning: 'The helper does not let another ferry go on with the run any more.',
      cause:
        'It has begun to undo the run, because the grace is over or the other side is gone, or it is past its stop.',
      remedy: '`ferry recover RUN` finishes it.',
    },
    'owner/busy': {
      meaning: 'Another ferry drives this helper.',
      cause: 'Two ferries were started for one run or holder.',
      remedy: 'Ask the other one (`ferry status`, `ferry cancel`), or wait for it.',
    },
    'owner/crowded': {
      meaning: 'Too many connections to this helper are open.',
      cause: 'Many commands ask it at once.',
      remedy: 'Try again when some have ended.',
    },
    'owner/other-user': {
      meaning: 'Another user may not drive this helper.',
      cause: 'The command runs as another user than the helper.',
      remedy: 'Run it as that user or as root.',
    },
    'owner/ending': {
      meaning: 'The helper is about to end.',
      cause: 'It was released, or its run is over.',
      remedy: 'Try again; start a new holder if one is needed.',
    },
    'hand-out/user': {
      meaning: 'The user may not have the descriptors, or cannot reach them.',
      cause: 'The helper is not root, or another user asked.',
      remedy: 'Hold as root (`become: sudo`), and take them as the user named in the profile.',
    },
    'hand-out/run': {
      meaning: 'The descriptors cannot be taken during a run.',
      cause: 'The holder is being moved.',
      remedy: 'Try again when the run is over.',
    },
    'hand-out/folder': {
      meaning: 'The folder of the socket for descriptors is not safe or cannot be used.',
      cause: 'Other users may write there, or it is not a folder.',
      remedy: 'Use a folder in which only that user and root may write.',
    },
    'descriptor/dup': {
      meaning: 'A descriptor could not be duplicated.',
      cause: 'The limit of open files is reached.',
      remedy: 'Raise it (`ulimit -n`).',
    },
    'exec/failed': {
      meaning: 'The program that was to take over the devices could not be started.',
      cause: 'The path is wrong, or the file is not a program.',
      remedy: 'Correct the command in the profile. The devices are still running in the helper.',
    },
  },
}
