import type { Family } from './code.js'

export const RECORDS_FAMILY: Family = {
  name: 'records',
  title: 'Journals, recovery and release',
  where: 'the journal and the socket of a run, `ferry recover` and `ferry release`',
  codes: {
    'journal/create': {
      meaning: 'The journal of the run cannot be created, and nothing was started.',
      cause: 'The state folder is missing, full or not writable.',
      remedy: 'Name a folder that you may write to with `--state-dir`.',
    },
    'journal/write': {
      meaning: 'The journal can no longer be written; the run does nothing new without it.',
      cause: 'The file system is full, or failed.',
      remedy: 'Make room there, or name another folder with `--state-dir`, and start again.',
    },
    'journal/read': {
      meaning: 'The journal cannot be read.',
      cause: 'This user may not read it, or the disk failed.',
      remedy: 'Read it as the user who started the run.',
    },
    'journal/broken': {
      meaning: 'The file is not a journal that Ferry can read.',
      cause: 'It was edited, is damaged, or is another file.',
      remedy:
        '`ferry recover RUN` reads what is left of it and asks both sides; `ferry list` shows the runs.',
    },
    'control/busy': {
      meaning: 'Too many connections to the socket of the run are open.',
      cause: 'Many `ferry status` or `await` commands follow one run.',
      remedy: 'Close some of them and try again.',
    },
    'control/connect': {
      meaning: 'The socket of the run cannot be opened.',
      cause: 'The run belongs to another user.',
      remedy: 'Ask as the user who started the run, or as root.',
    },
    'control/folder': {
      meaning: 'The folder for the socket of the run cannot be used, and nothing was started.',
      cause: 'It belongs to another user, is not a folder, or its path is too long.',
      remedy: 'Set XDG_RUNTIME_DIR to a folder of yours with a short path.',
    },
    'control/socket': {
      meaning: 'The socket of the run cannot be made, and nothing was started.',
      cause: 'The folder is not writable.',
      remedy: 'Set XDG_RUNTIME_DIR to a folder that you may write to.',
    },
    'recover/done': {
      meaning: 'The run is done, so there is nothing to recover.',
      cause: 'The destination ran, and the workload may have moved on since.',
      remedy: 'Use the workload where it is. `ferry release RUN` closes what the source may still hold.',
    },
    'recover/live': {
      meaning: 'The run is under way, and its own ferry drives it.',
      cause: 'The run has not ended or died.',
      remedy: '`ferry status RUN` shows how it stands; `ferry cancel RUN` ends it.',
    },
    'recover/nothing': {
      meaning: 'The journal is not that of a migration that can be recovered.',
      cause: 'It belongs to `ferry pin` or `ferry dirty-log`, or the run never began.',
      remedy: 'Nothing: only `ferry migrate` leaves two sides behind.',
    },
    'recover/refused': {
      meaning: 'What the two sides report leaves no safe step to take.',
      cause: 'Devices are lost or in a wrong state, or both sides run.',
      remedy: 'Do what the message advises; it names the devices and the side.',
    },
    'recover/hidden': {
      meaning: 'A process has devices of the run, and none of its sockets leads to it.',
      cause: 'Somebody removed the socket of the run’s helper, or a later run has the devices.',
      remedy:
        'Look at that process on its host. While it lives, neither side may be started; when it has ended, run `ferry recover RUN` again.',
    },
    'recover/token': {
      meaning: 'What only a person can decide was asked for without the token of the run.',
      cause: 'No token was given, or one of another decision, or a side was found in another state since.',
      remedy: 'Look at both sides, then give the token that `ferry recover RUN` prints with `--token`.',
    },
    'recover/not-dead': {
      meaning: 'A side that was declared dead answers.',
      cause: 'Its host, or the connection to it, is back.',
      remedy:
        'Run `ferry recover RUN` without `--dead`. If both sides run, stop one of the workloads at once.',
    },
    'release/refused': {
      meaning: 'What was named is not released.',
      cause: 'The run is not known to be done, or the holder is in use by a run.',
      remedy: '`ferry recover RUN` first. `ferry release --give-up` abandons the workload of a run for good.',
    },
    'source/helper-died': {
      meaning: 'The helper of the source died, and the states of its devices are not known.',
      cause: 'The process was killed or the host failed; the kernel then closes and resets the devices.',
      remedy: 'Look at the devices with `ferry devices` on the source, then start the workload again there.',
    },
    'source/not-checked': {
      meaning: 'After the rollback the source did not report the states of its devices.',
      cause: 'The connection to its helper failed.',
      remedy: 'Look at the devices with `ferry devices` on the source.',
    },
    'source/not-running': {
      meaning: 'After the rollback a device of the source is not RUNNING.',
      cause: 'The device refused the change of state.',
      remedy: 'Reset the device, then start the workload again on the source.',
    },
    'source/not-released': {
      meaning: 'The run is done, but the source still holds its devices.',
      cause: 'The connection to its helper was lost after COMMIT.',
      remedy: '`ferry release RUN` closes them.',
    },
    'peer/outcome': {
      meaning: 'Source and destination report different outcomes of the run.',
      cause: 'One side failed after the other had reported.',
      remedy: 'Start nothing. Look at both sides and use `ferry recover RUN`.',
    },
    'peer/run': {
      meaning: 'The helper of the destination serves another run than the one that was asked about.',
      cause: 'The helper of the run ended, and another one took its place.',
      remedy: 'Start nothing by hand; find out which run uses that helper, then use `ferry recover RUN`.',
    },
    'peer/version': {
      meaning:
        'No version of the control protocol is common to Ferry and the helper, or the request needs a newer helper.',
      cause: 'The two are of different releases.',
      remedy: 'Install the helper of this Ferry there, or name one with `--helper` or `helper:`.',
    },
    'peer/gave-up': {
      meaning: 'The other side of the run gave up, for a reason of its own.',
      cause: 'An error at the other side; its report has the code.',
      remedy: '`ferry report RUN` shows the first error.',
    },
  },
}
