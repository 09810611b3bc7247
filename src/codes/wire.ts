import type { Family } from './code.js'

export const WIRE_FAMILY: Family = {
  name: 'wire',
  title: 'Data between the helpers',
  where: 'the data connections of a run, as one helper judges what the other sends',
  codes: {
    'wire/bad-magic': {
      meaning: 'The program that answers at the address is not a ferry-helper.',
      cause: 'Another program uses the port.',
      remedy: 'Check `destination.listen` and its port.',
    },
    'wire/version': {
      meaning: 'No version of the data protocol is common to both helpers.',
      cause: 'They are more than one release apart.',
      remedy: 'Upgrade ferry-helper on the host that the error names.',
    },
    'wire/run': {
      meaning: 'The other end belongs to another run.',
      cause: 'Two runs use the same address and port.',
      remedy: 'Check the address and the port; 0 takes a free one.',
    },
    'wire/epoch': {
      meaning: 'The other end belongs to another attempt at this run.',
      cause: 'Two ferries drive one run, or an old helper is still there.',
      remedy: 'Let one ferry alone drive the run.',
    },
    'wire/streams': {
      meaning: 'The numbers of connections of the two sides do not fit, or one came twice.',
      cause: 'The sides were set up differently, or a connection broke at one end alone.',
      remedy: 'Let one ferry set up both sides, and run again.',
    },
    'wire/secret': {
      meaning: 'The other end does not know the secret of the run.',
      cause: 'Something else answers at the address, or two ferries set up the two helpers.',
      remedy: 'Check the address and what lies between the hosts.',
    },
    'wire/tls': {
      meaning: 'TLS refused what arrived.',
      cause: 'Something between the hosts changes or answers the connection.',
      remedy: 'Check for proxies between the data addresses, then run again.',
    },
    'wire/layout': {
      meaning: 'Memory or devices of the two sides differ.',
      cause: 'The two helpers were not set up from one plan.',
      remedy: 'Run again with one profile; report it if it stays so.',
    },
    'wire/manifest': {
      meaning: 'What arrived does not match the list that the source sent.',
      cause: 'Data was lost or damaged on the way.',
      remedy: 'Run again; report it if it stays so.',
    },
    'wire/checksum': {
      meaning: 'A piece of data arrived damaged, or one before it is missing.',
      cause: 'Hardware or software between the hosts changes data.',
      remedy: 'Run again; if it comes back, encrypt the link and check the network.',
    },
    'wire/truncated': {
      meaning: 'The data broke off in the middle of a piece.',
      cause: 'The other side or the network failed.',
      remedy: 'The report of the other side has the cause.',
    },
    'wire/oversized': {
      meaning: 'A piece of data is longer than its kind may be.',
      cause: 'The other end is faulty or not a ferry-helper.',
      remedy: 'Use the same release on both hosts; report it.',
    },
    'wire/outside-memory': {
      meaning: 'A page was sent for an address outside the memory of the workload.',
      cause: 'The other end is faulty or was set up differently.',
      remedy: 'Use the same release on both hosts; report it.',
    },
    'wire/payload': {
      meaning: 'What came over the data connections is not what was announced.',
      cause: 'Streams were mixed up or lost.',
      remedy: 'Run again; report it if it stays so.',
    },
    'wire/unexpected-frame': {
      meaning: 'A piece of data came at a moment when it does not belong.',
      cause: 'The helpers are of different builds, or one is faulty.',
      remedy: 'Use the same release on both hosts; report it.',
    },
    'verify/mismatch': {
      meaning: 'The memories of source and destination differ after the last round.',
      cause: 'A tracker missed a write.',
      remedy:
        'The run is undone, and the source is running. Report the trackers of the plan and the listed pages.',
    },
  },
}
