import type { Family } from './code.js'

export const LINK_FAMILY: Family = {
  name: 'link',
  title: 'Connections',
  where: 'the ssh connections to hosts, and the data connections between source and destination',
  codes: {
    'link/ssh': {
      meaning: 'The host cannot be reached over ssh.',
      cause:
        'The name is wrong, the key is missing or refused, the host key is unknown, or the host is down.',
      remedy: 'Make `ssh HOST true` work by hand, without a question, as the same user.',
    },
    'link/sudo': {
      meaning: 'sudo on the host did not make the helper root.',
      cause: 'sudo is not installed, asks for a password, or does not allow this user.',
      remedy:
        'Allow it without a password (NOPASSWD in sudoers), or reach the host as root and remove `become`.',
    },
    'link/socket-folder': {
      meaning: 'No folder for the sockets of ssh connections can be made.',
      cause: 'The temporary folder is not writable or its path is too long.',
      remedy: 'Set XDG_RUNTIME_DIR or TMPDIR to a folder of yours with a short path.',
    },
    'link/garbage': {
      meaning: 'A helper wrote something that is not a message of the protocol.',
      cause: 'A login script or a wrapper prints text.',
      remedy: 'Silence login scripts for sessions without a terminal.',
    },
    'link/stray-reply': {
      meaning: 'A helper answered a request that was not made.',
      cause: 'Another program writes to its output.',
      remedy: 'Let nothing but ferry-helper write there; look for login scripts.',
    },
    'link/lost': {
      meaning: 'The connection broke, or the other end stopped answering.',
      cause: 'The other host or its helper ended, or the network failed.',
      remedy:
        'Check the other host and the network between the two. Before COMMIT both sides undo by themselves.',
    },
    'link/unreachable': {
      meaning: 'There is no way to the host or to the address of the data.',
      cause: 'The host is down, or has no route to the address.',
      remedy: 'Check the address, the interfaces and the routes (`ip route get`).',
    },
    'link/refused': {
      meaning: 'The destination refused the data connection.',
      cause: 'Nothing listens at this address and port, or a firewall refuses.',
      remedy: 'Check `destination.listen` and the firewall of the destination.',
    },
    'link/timeout': {
      meaning: 'The other end did not answer in time.',
      cause: 'A firewall drops the packets, or the other side is stuck.',
      remedy: 'Check the address, the port and the firewalls in between.',
    },
    'link/address': {
      meaning: 'The address cannot be used on this host.',
      cause: 'It is not an IP address, or no interface of the host has it.',
      remedy: 'Give an address that `ip address` shows there, or leave it out.',
    },
    'link/interface': {
      meaning: 'The interface is missing, down or without a usable address.',
      cause: 'The name is misspelled, or the link is down.',
      remedy: 'Name an interface that `ip -brief address` shows with an address, or give the address.',
    },
    'link/listen': {
      meaning: 'The destination cannot listen for data connections.',
      cause: 'The kernel refused it, for the reason in the errno.',
      remedy: 'Read the errno in the message; try another address or port.',
    },
    'link/port-taken': {
      meaning: 'Another process already uses the port.',
      cause: 'A fixed port in the profile is in use, perhaps by an earlier run.',
      remedy: 'Choose another port or 0 for any, or see who has it with `ss -ltnp`.',
    },
    'link/not-permitted': {
      meaning: 'The helper may not use this port.',
      cause: 'Ports below 1024 need privilege.',
      remedy: 'Choose a port of 1024 or more, or 0.',
    },
    'link/socket': {
      meaning: 'The kernel refused an option of a data socket.',
      cause: 'An unusual kernel or a limit of the host.',
      remedy: 'Read the errno in the message.',
    },
    'link/thread': {
      meaning: 'The helper could not start a thread.',
      cause: 'The limit of processes or of memory is reached.',
      remedy: 'Raise the limit of tasks (`ulimit -u`, `TasksMax=`).',
    },
    'link/identity': {
      meaning: 'A helper could not make the keys or random bytes of the run.',
      cause: 'The kernel or the TLS library refused.',
      remedy: 'Try again; if it stays so, report it.',
    },
    'link/streams': {
      meaning: 'Only some of the connections of the source arrived.',
      cause: 'A firewall limits connections per address, or the source failed.',
      remedy: 'Look at the report of the source; lower the streams or change the firewall.',
    },
    'link/stranger': {
      meaning: 'A connection came from an address that is not the source, and was closed.',
      cause: 'Another program connects to the port, or the source leaves by another address.',
      remedy: 'Check `source.address`, and who connects there.',
    },
  },
}
