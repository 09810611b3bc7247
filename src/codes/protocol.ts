import type { Family } from './code.js'

export const PROTOCOL_FAMILY: Family = {
  name: 'protocol',
  title: 'Requests to a helper',
  where: 'requests from Ferry to a helper, and the records that a helper keeps of a run',
  codes: {
    'protocol/no-run': {
      meaning: 'A request names no run or no epoch.',
      cause: 'A program other than Ferry drives the helper, or a fault in Ferry.',
      remedy: 'Use `ferry`; report it otherwise.',
    },
    'protocol/other-run': {
      meaning: 'The helper serves another run.',
      cause: 'That run was not released.',
      remedy: 'Release the other run first, or wait for it.',
    },
    'protocol/old-epoch': {
      meaning: 'Another ferry has taken over this run.',
      cause: '`ferry recover` or a second ferry drives it now.',
      remedy: 'Leave the run to that one.',
    },
    'protocol/phase': {
      meaning: 'The request comes too early or too late in the run.',
      cause: 'Requests came in the wrong order, or the run went on meanwhile.',
      remedy: '`ferry status RUN` shows how the run stands.',
    },
    'protocol/committed': {
      meaning: 'The run is committed and cannot be undone.',
      cause: 'COMMIT was given before the request to roll back.',
      remedy: 'Finish the run with `ferry recover RUN`; the source stays stopped.',
    },
    'record/dir': {
      meaning: 'The folder for records of runs cannot be used.',
      cause: 'It is missing or closed to the user.',
      remedy: 'Check the state folder of that host.',
    },
    'record/unsafe-dir': {
      meaning: 'The folder for records could be changed by other users.',
      cause: 'It has another owner, or is writable for others.',
      remedy: 'Give it to that user with mode 0700, or choose another folder.',
    },
    'record/name': {
      meaning: 'The id of the run cannot name a record.',
      cause: 'It has characters other than letters, digits, `.`, `_` and `-`.',
      remedy: 'Use the ids that Ferry gives.',
    },
    'record/read': {
      meaning: 'The record of the run cannot be read.',
      cause: 'It is damaged or closed to the user.',
      remedy: 'Do not remove it; look at it by hand, it decides which side may run.',
    },
    'record/write': {
      meaning: 'The decision of the run could not be recorded.',
      cause: 'The disk is full or failed.',
      remedy: 'Make room, then run `ferry recover RUN`.',
    },
    'record/committed': {
      meaning: 'The run is recorded as committed and cannot be dropped.',
      cause: 'The destination had taken the workload over.',
      remedy: '`ferry recover RUN` finishes it.',
    },
    'record/discarded': {
      meaning: 'The run was recorded as discarded before it could be committed.',
      cause: 'Another ferry recovered or gave up the run.',
      remedy: 'The workload stays on the source; `ferry report RUN` shows more.',
    },
    'request/bad-params': {
      meaning: 'A request lacks a value, or has one that is not allowed.',
      cause: 'Ferry and helper are of different builds, or a fault in Ferry.',
      remedy: 'Use the same release; report it otherwise.',
    },
    'request/broken-line': {
      meaning: 'A line to the helper is not a request.',
      cause: 'Another program writes to the helper.',
      remedy: 'Let Ferry alone drive it.',
    },
    'request/duplicate': {
      meaning: 'A request was made twice.',
      cause: 'A fault in Ferry, or two ferries drive the helper.',
      remedy: 'Let one ferry drive it; report it otherwise.',
    },
    'request/out-of-order': {
      meaning: 'A request came before what it needs.',
      cause: 'A fault in Ferry, or a holder that is not ready.',
      remedy: 'Read what the message misses; report it otherwise.',
    },
    'request/too-long': {
      meaning: 'A line to the helper is too long.',
      cause: 'Another program writes to the helper.',
      remedy: 'Let Ferry alone drive it.',
    },
    'request/unknown': {
      meaning: 'The helper does not know the request.',
      cause: 'Ferry and helper are of different releases.',
      remedy: 'Use the same release for both.',
    },
    'request/unknown-container': {
      meaning: 'The run has no container of this name.',
      cause: 'A fault in Ferry.',
      remedy: 'Report it with the journal.',
    },
    'request/unknown-device': {
      meaning: 'The run has no device of this name.',
      cause: 'A fault in Ferry.',
      remedy: 'Report it with the journal.',
    },
  },
}
