import type { Family } from './code.js'

export const HELPER_FAMILY: Family = {
  name: 'helper',
  title: 'Helpers',
  where: 'commands that start a helper or attach to one, and `ferry doctor`',
  codes: {
    'helper/missing': {
      meaning: 'No ferry-helper can be run on the host.',
      cause:
        'It is not installed, its path is wrong, the folder is mounted noexec, or its C library is too old.',
      remedy: 'Build it with `npm run build:helper`, or name one with `--helper` or `helper:`.',
    },
    'helper/no-home': {
      meaning: 'The helper has no state folder of its own.',
      cause: 'Neither HOME nor XDG_STATE_HOME is set for the user who logs in.',
      remedy: 'Set HOME for that user, or name a folder with `stateDir:` in the profile.',
    },
    'helper/untrusted': {
      meaning: 'As root, Ferry refuses a helper that other users could replace.',
      cause: 'The file or a folder above it belongs to a user or is writable for others.',
      remedy:
        'Run `chown root:root` and `chmod go-w` on what is named, or install it as /usr/libexec/ferry-helper.',
    },
    'helper/architecture': {
      meaning: 'Ferry has no helper for the system or the processor of the host.',
      cause: 'The host differs from the one on which the helper was built.',
      remedy: 'Build ferry-helper on that host and name it with `helper:`.',
    },
    'helper/install': {
      meaning: 'The helper could not be copied to the host.',
      cause: 'No room, a folder that is not writable, or a lost connection.',
      remedy: 'Read the lines shown, or install the helper by hand and name it with `helper:`.',
    },
    'helper/build': {
      meaning: 'The helper that answers is not the one that was copied.',
      cause: 'Something else writes to the cache folder of that user.',
      remedy: 'Look at that folder, or name a helper with `helper:`.',
    },
    'helper/spawn': {
      meaning: 'The helper, or ssh, could not be started.',
      cause: 'The file is missing or is not a program for this machine.',
      remedy: 'Check that the file exists and can be run.',
    },
    'helper/died': {
      meaning: 'The helper ended while a request waited for its answer.',
      cause: 'It was killed, ran out of memory, or failed.',
      remedy:
        'Read its last lines; `ferry devices` shows what became of the devices. For a run, use `ferry recover RUN`.',
    },
    'helper/no-reply': {
      meaning: 'The helper did not answer in time.',
      cause: 'The host is overloaded, or a driver blocks in the kernel.',
      remedy: 'Look at the load and the kernel log of that host; for a run, use `ferry recover RUN`.',
    },
    'helper/not-waited': {
      meaning: 'Ferry no longer waits for this answer.',
      cause: 'The run ended or was cancelled meanwhile.',
      remedy: 'Nothing by itself; the first error of the run tells more.',
    },
    'helper/bug': {
      meaning: 'The helper failed in a way it does not expect.',
      cause: 'A fault in the helper.',
      remedy: 'Report it with the messages and the journal of the run.',
    },
    'helper/stdout': {
      meaning: 'The helper cannot use its standard output.',
      cause: 'It was started with its output closed, or at the limit of open files.',
      remedy: 'Let Ferry start it; raise the limit of open files.',
    },
    'hello/protocol': {
      meaning: 'The helper does not speak this version of the control protocol.',
      cause: 'Ferry and helper are more than one release apart.',
      remedy:
        'Upgrade the older of the two: a release speaks its own version and that of the release before.',
    },
    'holder/none': {
      meaning: 'Nothing answers at the socket: there is no holder, or no helper of this run.',
      cause: 'It ended, or another state folder or user is named.',
      remedy: 'Start one with `ferry hold PROFILE`, or check `stateDir` and `become`.',
    },
    'holder/mismatch': {
      meaning: 'The holder has other devices, containers or memory than the run needs.',
      cause: 'The profile changed since the holder was started.',
      remedy: 'Release the holder and hold again with this profile, or change the profile back.',
    },
    'holder/not-running': {
      meaning: 'A device of the holder is not RUNNING.',
      cause: 'An earlier run left it so.',
      remedy: 'Check the device, then release the holder and hold again.',
    },
    'attach/nobody': {
      meaning: 'No helper listens at the socket.',
      cause: 'The helper or the holder has ended.',
      remedy: 'Start it again, or use `ferry recover RUN` for a run.',
    },
    'attach/unsafe': {
      meaning: 'What is at the path of the socket is not trusted.',
      cause: 'It is not a socket, or belongs to another user.',
      remedy: 'Remove what is not yours there, or use another `stateDir`.',
    },
    'attach/failed': {
      meaning: 'The way to the helper behind its socket failed.',
      cause: 'The socket could not be opened, or the connection broke.',
      remedy: 'Read the errno in the message; try again.',
    },
  },
}
