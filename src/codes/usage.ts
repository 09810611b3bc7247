import type { Family } from './code.js'

export const USAGE_FAMILY: Family = {
  name: 'usage',
  title: 'Usage',
  where: 'any command, before it does anything',
  codes: {
    'usage/unknown-command': {
      meaning: 'There is no such command.',
      cause: 'The name is misspelled.',
      remedy: '`ferry --help` lists the commands.',
    },
    'usage/unknown-flag': {
      meaning: 'The command has no such flag.',
      cause: 'The flag is misspelled, or belongs to another command.',
      remedy: '`ferry COMMAND --help` lists the flags.',
    },
    'usage/arguments': {
      meaning: 'An argument is missing, or there is one too many.',
      cause:
        'The command was given without a run, a profile or another argument it needs, or with a stray word.',
      remedy: '`ferry COMMAND --help` shows how to write the command.',
    },
    'usage/invalid': {
      meaning: 'A flag or an argument has a value that the command does not accept.',
      cause: 'The value is misspelled or of the wrong kind, or two flags exclude each other.',
      remedy: '`ferry COMMAND --help` shows what the flag takes.',
    },
    'usage/unknown-code': {
      meaning: 'Ferry has no code of this name.',
      cause: 'The code is misspelled, or comes from another release.',
      remedy: '`ferry explain` without an argument lists all codes.',
    },
    'usage/run': {
      meaning: 'The run named is not there, or the name fits several runs.',
      cause: 'The id is misspelled or too short, or the run has its journal in another state folder.',
      remedy: '`ferry list` shows the runs; `--state-dir` names another folder.',
    },
    'usage/op': {
      meaning: 'A run was asked for something that it does not know.',
      cause: 'The ferry that asks is of another release than the one that drives the run.',
      remedy: 'Use the same release for both.',
    },
    'usage/request': {
      meaning: 'A line sent to the socket of a run is not a request.',
      cause: 'Another program, or a script with a mistake, writes to the socket.',
      remedy: 'Use the commands of `ferry` to talk to a run.',
    },
    'usage/params': {
      meaning: 'A number in a request to a run is not a whole number.',
      cause: 'A script wrote to the socket of the run by itself.',
      remedy: 'Send a whole number, or use the commands of `ferry`.',
    },
    'usage/condition': {
      meaning: 'A run was asked to wait for a condition that it does not know.',
      cause: 'The condition is misspelled, or comes from another release.',
      remedy: '`ferry await --help` lists the conditions.',
    },
    'usage/set': {
      meaning: 'The setting cannot be changed here, or `--set` stands without `--profile`.',
      cause: 'The name is misspelled, or a flag is missing.',
      remedy: 'The message says which settings there are; give `--profile` with `--set`.',
    },
    'usage/streams': {
      meaning: 'The number of streams is not one that this run can use.',
      cause: 'It is not a whole number, or more than the connections the run has.',
      remedy: 'Give a whole number up to `transport.maxStreams` of the profile.',
    },
    'usage/time': {
      meaning: 'The time cannot be read, or has passed.',
      cause: 'The unit is missing, or the date or time of `--at` is not in a form Ferry reads.',
      remedy: 'Write 500ms, 10s or 5m; for `--at`, 02:30 or 2026-11-23T02:30:00Z.',
    },
    'usage/rate': {
      meaning: 'The rate cannot be read, or nothing would move at it.',
      cause: 'The unit is missing, or the rate is zero.',
      remedy: 'Write a rate such as 100MiB/s or 10Gbit/s.',
    },
    'usage/host': {
      meaning: 'The name of a host cannot be read.',
      cause: 'It has characters that ssh would take for something else.',
      remedy: 'Write the host as you would give it to `ssh`.',
    },
    'usage/profile-or-hosts': {
      meaning: '`ferry doctor` got both hosts and a profile.',
      cause: 'Hosts were named beside `--profile`.',
      remedy: 'Name one or the other: the profile names its own hosts.',
    },
    'usage/log-file': {
      meaning: 'The log file cannot be opened.',
      cause: 'Its folder does not exist, or this user may not write there.',
      remedy: 'Name a file in a folder that you may write to.',
    },
    'usage/sample': {
      meaning: 'The run named holds no reads of trackers, so no forecast can be made from it.',
      cause: 'It is a migration or another run, not a measurement by `ferry dirty-log`.',
      remedy: 'Name a `ferry dirty-log` run; `ferry report RUN` shows what a run is.',
    },
  },
}
