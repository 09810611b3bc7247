/** Hosts, addresses, connections and holders that do not go together. */
import type { BadInput } from './bad-input.js'
import { changed, VALID } from './samples.js'

/** The sample with these hosts. */
const between = (source: string, destination: string): string =>
  changed(
    '{ host: local, listen: 127.0.0.1:0 }',
    `{ ${destination} }`,
    changed('{ host: local }', `{ ${source} }`),
  )
const over = (transport: string, text = VALID): string => `${text}transport: { ${transport} }\n`

export const BAD_HOSTS: readonly BadInput[] = [
  // Names
  {
    what: 'a host that ssh would read as an option',
    text: between('host: -oProxyCommand=x', 'host: local'),
    findings: [['profile/host', '-oProxyCommand=x']],
  },
  {
    what: 'a port without ssh://',
    text: between('host: "node-a:2222"', 'host: local, listen: 192.0.2.7:0'),
    findings: [['profile/host', '"node-a:2222"']],
  },
  {
    what: 'an ssh port too high',
    text: between('host: "ssh://node-a:70000"', 'host: local, listen: 192.0.2.7:0'),
    findings: [['profile/host', '"ssh://node-a:70000"']],
  },
  {
    what: 'an IPv6 host in ssh:// without brackets',
    text: between('host: "ssh://2001:db8::7"', 'host: local, listen: 192.0.2.7:0'),
    findings: [['profile/host', '"ssh://2001:db8::7"']],
  },
  {
    what: 'sudo for this host, on both sides',
    text: between('host: local, become: sudo', 'become: sudo'),
    findings: [
      ['profile/become', 'sudo'],
      ['profile/become', 'sudo'],
    ],
  },
  {
    what: 'another way to become root',
    text: between('host: node-a, become: doas', 'host: node-b, listen: 192.0.2.7:0'),
    findings: [['profile/invalid-value', 'doas']],
  },
  {
    what: 'a relative state folder',
    text: between('stateDir: state', 'host: local'),
    findings: [['profile/path', 'state']],
  },

  // Addresses
  {
    what: 'a port too high',
    text: changed('127.0.0.1:0', '127.0.0.1:70000'),
    findings: [['profile/listen', '127.0.0.1:70000']],
  },
  {
    what: 'every address',
    text: changed('127.0.0.1:0', '0.0.0.0:7440'),
    findings: [['profile/listen', '0.0.0.0:7440']],
  },
  {
    what: 'loopback of another host',
    text: changed('{ host: local, listen', '{ host: node-b, listen'),
    findings: [['profile/listen', '127.0.0.1:0']],
  },
  {
    what: 'another host without an address',
    text: changed('{ host: local, listen: 127.0.0.1:0 }', '{ host: node-b }'),
    findings: [['profile/missing-key', 'destination']],
  },
  {
    what: 'an address and an interface',
    text: between('host: local', 'host: node-b, listen: 192.0.2.7:0, interface: eth1'),
    findings: [['profile/exactly-one', 'eth1']],
  },
  {
    what: 'an interface name with a slash',
    text: between('host: local', 'host: node-b, interface: net/eth1'),
    findings: [['profile/interface', 'net/eth1']],
  },
  {
    what: 'a host name to leave from',
    text: between('address: node-a', 'host: node-b, listen: 192.0.2.7:0'),
    findings: [['profile/address', 'node-a']],
  },
  {
    what: 'every address to leave from',
    text: between('address: 0.0.0.0', 'host: node-b, listen: 192.0.2.7:0'),
    findings: [['profile/address', '0.0.0.0']],
  },
  {
    what: 'loopback to leave for another host from',
    text: between('address: 127.0.0.1', 'host: node-b, interface: eth1'),
    findings: [['profile/address', '127.0.0.1']],
  },
  {
    what: 'two families of addresses',
    text: between('address: 192.0.2.1', 'host: node-b, listen: "[2001:db8::7]:0"'),
    findings: [['profile/address', '192.0.2.1']],
  },

  // Connections
  {
    what: 'no reason worth the name',
    text: over('insecure: "      x     "'),
    findings: [['profile/invalid-value', '"      x     "']],
  },
  {
    what: 'true for a reason',
    text: over('insecure: true'),
    findings: [['profile/wrong-type', 'true']],
  },
  {
    what: 'a reason for loopback',
    text: over('loopback: true, insecure: the lab has no cable out'),
    findings: [['profile/transport', 'the lab has no cable out']],
  },
  {
    what: 'loopback to another host',
    text: over('loopback: true', between('host: local', 'host: node-b, listen: 192.0.2.7:0')),
    findings: [
      ['profile/transport', '192.0.2.7:0'],
      ['profile/transport', 'true'],
    ],
  },
  {
    what: 'loopback of another host, for both sides',
    text: over('loopback: true', between('host: node-b', 'host: node-b')),
    findings: [['profile/transport', 'true']],
  },
  {
    what: 'loopback at an address others can reach',
    text: over('loopback: true', between('host: local', 'listen: 192.0.2.7:0')),
    findings: [['profile/transport', '192.0.2.7:0']],
  },
  {
    what: 'loopback over an interface',
    text: over('loopback: true', between('host: local', 'interface: eth1')),
    findings: [['profile/interface', 'eth1']],
  },
  {
    what: 'fewer connections than streams',
    text: over('streams: 4, maxStreams: 2'),
    findings: [['profile/streams', '2']],
  },
  { what: 'no stream', text: over('streams: 0'), findings: [['profile/invalid-value', '0']] },
  { what: 'too many streams', text: over('streams: 17'), findings: [['profile/invalid-value', '17']] },
  { what: 'a keepalive without a unit', text: over('keepalive: 6'), findings: [['profile/time', '6']] },
  {
    what: 'the old word for encryption',
    text: over('encrypt: false'),
    findings: [['profile/unknown-key', 'encrypt']],
  },

  // Holders
  {
    what: 'an end that is none',
    text: between('host: local', 'then: hodl'),
    findings: [['profile/wrong-type', 'hodl']],
  },
  {
    what: 'a command of no words',
    text: between('host: local', 'then: { exec: [] }'),
    findings: [['profile/invalid-value', '[]']],
  },
  {
    what: 'an empty word of a command',
    text: between('host: local', 'then: { exec: [vmm, ""] }'),
    findings: [['profile/invalid-value', '""']],
  },
  {
    what: 'two holders in the default state folder',
    text: between('from: holder', 'then: hold'),
    findings: [['profile/hold', 'hold']],
  },
  {
    what: 'two holders in one state folder, of a source released by hand',
    text: `${between('host: root@node-b, stateDir: /state/a/', 'host: node-b, stateDir: /state/./a')}releaseSource: by-hand\n`,
    findings: [['profile/hold', 'destination']],
  },
  {
    what: 'state folders too long for the sockets in them',
    text: between(`stateDir: /${'s'.repeat(61)}`, `stateDir: /${'d'.repeat(60)}`),
    findings: [['profile/path', `/${'s'.repeat(61)}`]],
  },
  {
    what: 'a state folder too long for the socket of a holder of this name',
    text: between('host: local', `stateDir: /${'d'.repeat(60)}`).replace('vm', 'v'.repeat(33)),
    findings: [['profile/path', `/${'d'.repeat(60)}`]],
  },
  {
    what: 'a release that is neither',
    text: `${VALID}releaseSource: onCommmit\n`,
    findings: [['profile/invalid-value', 'onCommmit']],
  },
  {
    what: 'no one to hand out to',
    text: `${VALID}handOut: { socket: /run/vm/devices.sock, uid: 4294967295 }\n`,
    findings: [['profile/invalid-value', '4294967295']],
  },
  {
    what: 'a socket path longer than sockets have',
    text: `${VALID}handOut: { socket: /${'é'.repeat(54)}, uid: 0 }\n`,
    findings: [['profile/path', `/${'é'.repeat(54)}`]],
  },
  {
    what: 'a hold at no such point',
    text: `${VALID}migration: { hold: before-cutoff }\n`,
    findings: [['profile/invalid-value', 'before-cutoff']],
  },
  {
    what: 'a hold that ends neither way',
    text: `${VALID}migration: { holdTimeout: 30, holdEnd: stop }\n`,
    findings: [
      ['profile/time', '30'],
      ['profile/invalid-value', 'stop'],
    ],
  },
]
