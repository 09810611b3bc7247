import type { ProfileCode } from '../../src/profile/codes.js'
import { changed, SIM, VALID } from './samples.js'

export interface BadInput {
  readonly what: string
  readonly text: string
  readonly env?: Record<string, string>
  readonly sets?: readonly string[]
  /** All findings: code and the text under the caret, in order. */
  readonly findings: readonly (readonly [ProfileCode, string])[]
}

const DEVICE = `  - name: vgpu
    source: { mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }
    destination: { mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }
`
const RAM = '  - { name: ram, iova: 0x0, size: 512MiB, backing: memfd }\n'
const simDevice = (source: string, destination: string, more = ''): string =>
  changed(
    DEVICE,
    `  - { name: d, source: { sim: ${source} }, destination: { sim: ${destination} }${more} }\n`,
  )
const ram = (fields: string): string => changed('iova: 0x0, size: 512MiB, backing: memfd', fields)
const deviceKey = (line: string): string => `${VALID}    ${line}\n`

export const BAD_INPUT: readonly BadInput[] = [
  // Syntax
  { what: 'an empty file', text: '', findings: [['profile/empty', '']] },
  { what: 'comments alone', text: '# nothing\n', findings: [['profile/empty', '#']] },
  {
    what: 'a tab for indentation',
    text: 'version: 1\nsource:\n\thost: local\n',
    findings: [['profile/tab-indent', '\t']],
  },
  { what: 'an unclosed bracket', text: 'version: [1\nname: vm\n', findings: [['profile/syntax', 'n']] },
  { what: 'two documents', text: `${VALID}---\nversion: 1\n`, findings: [['profile/syntax', '---']] },
  {
    what: 'an unknown tag',
    text: changed('name: vm', 'name: !secret vm'),
    findings: [['profile/syntax', '!secret']],
  },
  {
    what: 'a key twice',
    text: changed('name: vm', 'name: vm\nname: vm2'),
    findings: [['profile/duplicate-key', 'name']],
  },
  { what: 'brackets without end', text: '['.repeat(200_000), findings: [['profile/too-deep', '[']] },
  {
    what: 'aliases that multiply',
    text: `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    findings: [['profile/too-many-aliases', 'a']],
  },
  { what: 'a list', text: '- 1\n', findings: [['profile/wrong-type', '- 1']] },
  { what: 'a word', text: 'hello\n', findings: [['profile/wrong-type', 'hello']] },

  // Keys and types
  {
    what: 'an unknown key',
    text: deviceKey('trakcer: auto'),
    findings: [['profile/unknown-key', 'trakcer']],
  },
  {
    what: 'an unknown key deep down',
    text: `${VALID}migration: { precopy: { round: 3 } }\n`,
    findings: [['profile/unknown-key', 'round']],
  },
  { what: 'a missing key', text: changed('name: vm\n', ''), findings: [['profile/missing-key', 'v']] },
  {
    what: 'a missing key of an item',
    text: ram('size: 512MiB'),
    findings: [['profile/missing-key', '{ name: ram, size: 512MiB }']],
  },
  {
    what: 'a list for a mapping',
    text: changed('{ host: local }', '[local]'),
    findings: [['profile/wrong-type', '[local]']],
  },
  { what: 'a mapping for a size', text: ram('iova: 0, size: {}'), findings: [['profile/wrong-type', '{}']] },
  {
    what: 'text for a number',
    text: `${VALID}migration: { precopy: { rounds: many } }\n`,
    findings: [['profile/wrong-type', 'many']],
  },
  {
    what: 'a number for text',
    text: changed('name: vm', 'name: 7'),
    findings: [['profile/wrong-type', '7']],
  },
  {
    what: 'nothing for text',
    text: changed('name: vm', 'name:'),
    findings: [['profile/wrong-type', 'name']],
  },
  {
    what: 'a fraction for a count',
    text: `${VALID}migration: { precopy: { rounds: 1.5 } }\n`,
    findings: [['profile/wrong-type', '1.5']],
  },
  {
    what: 'an infinite count',
    text: `${VALID}migration: { precopy: { rounds: .inf } }\n`,
    findings: [['profile/wrong-type', '.inf']],
  },
  {
    what: 'a count out of range',
    text: `${VALID}migration: { precopy: { rounds: 0 } }\n`,
    findings: [['profile/invalid-value', '0']],
  },
  {
    what: 'an unknown choice',
    text: deviceKey('backend: typ1'),
    findings: [['profile/invalid-value', 'typ1']],
  },
  {
    what: 'no devices',
    text: changed(`devices:\n${DEVICE}`, 'devices: []\n'),
    findings: [['profile/invalid-value', '[]']],
  },
  {
    what: 'no memory',
    text: changed(`memory:\n${RAM}`, 'memory: []\n'),
    findings: [['profile/invalid-value', '[]']],
  },
  {
    what: 'another version',
    text: changed('version: 1', 'version: 2'),
    findings: [['profile/version', '2']],
  },
  {
    what: 'a name with a slash',
    text: changed('name: vm', 'name: ../vm'),
    findings: [['profile/name', '../vm']],
  },

  // Values
  { what: 'a decimal size', text: ram('iova: 0, size: 512MB'), findings: [['profile/size', '512MB']] },
  { what: 'a negative size', text: ram('iova: 0, size: -4096'), findings: [['profile/size', '-4096']] },
  {
    what: 'a size over 64 bits',
    text: ram('iova: 0, size: 99999999TiB'),
    findings: [['profile/size', '99999999TiB']],
  },
  {
    what: 'a time without a unit',
    text: `${VALID}migration: { downtimeLimit: 300 }\n`,
    findings: [['profile/time', '300']],
  },
  {
    what: 'a time of zero',
    text: `${VALID}migration: { downtimeLimit: 0ms }\n`,
    findings: [['profile/time', '0ms']],
  },
  {
    what: 'a rate without a time',
    text: `${VALID}migration: { bandwidth: 100MiB }\n`,
    findings: [['profile/rate', '100MiB']],
  },
  {
    what: 'a rate of zero',
    text: `${VALID}migration: { bandwidth: 0MiB/s }\n`,
    findings: [['profile/rate', '0MiB/s']],
  },
  {
    what: 'more than all',
    text: ram('iova: 0, size: 4KiB, fill: { zero: 101% }'),
    findings: [['profile/percent', '101%']],
  },
  {
    what: 'a PCI address without a domain',
    text: changed(
      DEVICE,
      '  - { name: d, source: { function: "41:00.2" }, destination: { function: 0000:41:00.3 } }\n',
    ),
    findings: [['profile/bdf', '"41:00.2"']],
  },
  {
    what: 'a UUID without dashes',
    text: changed('6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10', '6f3c9a520d5e4d0b9a3f2b8c1e7d4a10'),
    findings: [['profile/uuid', '6f3c9a520d5e4d0b9a3f2b8c1e7d4a10']],
  },
  {
    what: 'a host that ssh would read as an option',
    text: changed('{ host: local }', '{ host: -oProxyCommand=x }'),
    findings: [['profile/host', '-oProxyCommand=x']],
  },
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
    what: 'a relative file',
    text: ram('iova: 0, size: 4KiB, backing: { file: ram.img }'),
    findings: [['profile/path', 'ram.img']],
  },
  {
    what: 'a device that is two',
    text: changed(
      '{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }',
      '{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10, function: 0000:41:00.2 }',
    ),
    findings: [
      ['profile/exactly-one', '{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10, function: 0000:41:00.2 }'],
    ],
  },
  {
    what: 'a backing for one side only',
    text: ram('iova: 0, size: 4KiB, backing: { source: memfd }'),
    findings: [['profile/exactly-one', '{ source: memfd }']],
  },

  // Variables and overrides
  {
    what: 'an unset variable',
    text: changed('name: vm', 'name: ${VM_NAME}'),
    findings: [['profile/unset-variable', '${VM_NAME}']],
  },
  {
    what: 'an empty variable where one is needed',
    text: changed('name: vm', 'name: ${VM_NAME:?which one}'),
    env: { VM_NAME: '' },
    findings: [['profile/unset-variable', '${VM_NAME:?which one}']],
  },
  {
    what: 'a variable without braces',
    text: changed('name: vm', 'name: $VM'),
    env: { VM: 'x' },
    findings: [['profile/variable-syntax', '$VM']],
  },
  {
    what: 'a brace that is not closed',
    text: changed('name: vm', 'name: "${VM"'),
    env: { VM: 'x' },
    findings: [['profile/variable-syntax', '${VM']],
  },
  { what: 'a --set without a value', text: VALID, sets: ['name'], findings: [['profile/override', 'name']] },
  {
    what: 'a --set below a value',
    text: VALID,
    sets: ['name.x=1'],
    findings: [['profile/override', 'name']],
  },
  {
    what: 'a --set of an item that is not there',
    text: VALID,
    sets: ['devices.gpu.tracker=all'],
    findings: [['profile/override', 'gpu']],
  },

  // Memory
  { what: 'no size', text: ram('iova: 0, size: 0'), findings: [['profile/region-empty', '0']] },
  {
    what: 'an IOVA between pages',
    text: ram('iova: 0x1001, size: 4KiB'),
    findings: [['profile/region-misaligned', '0x1001']],
  },
  {
    what: 'half a page',
    text: ram('iova: 0, size: 6KiB'),
    findings: [['profile/region-misaligned', '6KiB']],
  },
  {
    what: 'half a huge page',
    text: ram('iova: 0, size: 3MiB, backing: { memfd: { hugePages: 2MiB } }'),
    findings: [['profile/region-misaligned', '3MiB']],
  },
  {
    what: 'the end of the address space',
    text: ram('iova: 0xfffffffffffff000, size: 4KiB'),
    findings: [['profile/region-past-end', '4KiB']],
  },
  {
    what: 'past the end of the address space',
    text: ram('iova: 0xfffffffffffff000, size: 8KiB'),
    findings: [['profile/region-past-end', '8KiB']],
  },
  {
    what: 'overlapping regions',
    text: changed(RAM, `${RAM}  - { name: high, iova: 256MiB, size: 1GiB }\n`),
    findings: [['profile/region-overlap', '256MiB']],
  },
  {
    what: 'a region inside another, written first',
    text: changed(RAM, `  - { name: in, iova: 4KiB, size: 4KiB }\n${RAM}`),
    findings: [['profile/region-overlap', '0x0']],
  },
  {
    what: 'a region name twice',
    text: changed(RAM, `${RAM}  - { name: ram, iova: 1GiB, size: 1GiB }\n`),
    findings: [['profile/duplicate-region', 'ram']],
  },
  {
    what: 'one file for both sides of one host',
    text: ram('iova: 0, size: 4KiB, backing: { file: /dev/hugepages/a }'),
    findings: [['profile/same-file', '{ file: /dev/hugepages/a }']],
  },

  // Devices
  {
    what: 'a device name twice',
    text: `${VALID}  - { name: vgpu, source: { function: 0000:41:00.2 }, destination: { function: 0000:41:00.3 } }\n`,
    findings: [['profile/duplicate-device', 'vgpu']],
  },
  {
    what: 'one mdev for two devices',
    text: `${VALID}  - { name: b, source: { mdev: 6F3C9A52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }, destination: { function: 0000:41:00.3 } }\n`,
    findings: [['profile/device-twice', '6F3C9A52-0d5e-4d0b-9a3f-2b8c1e7d4a10']],
  },
  {
    what: 'one mdev on both sides of one host',
    text: changed('b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38', '6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10'),
    findings: [['profile/device-twice', '6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10']],
  },
  {
    what: 'a simulated source of a real device',
    text: changed('{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }', `{ sim: ${SIM} }`),
    findings: [['profile/sim-mismatch', '{ mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }']],
  },
  {
    what: 'simulated devices of two models',
    text: simDevice(SIM, SIM.replace('mdev', 'function')),
    findings: [['profile/sim-mismatch', 'function']],
  },
  {
    what: 'simulated devices with two windows',
    text: simDevice(SIM, SIM.replace('1MiB', '2MiB')),
    findings: [['profile/sim-mismatch', '{ iova: 0, size: 2MiB }']],
  },
  {
    what: 'a window outside the memory',
    text: simDevice(SIM.replace('iova: 0', 'iova: 512MiB'), SIM.replace('iova: 0', 'iova: 512MiB')),
    findings: [
      ['profile/sim-window', '{ iova: 512MiB, size: 1MiB }'],
      ['profile/sim-window', '{ iova: 512MiB, size: 1MiB }'],
    ],
  },
  {
    what: 'a window between pages',
    text: simDevice(SIM.replace('1MiB', '1'), SIM.replace('1MiB', '1')),
    findings: [
      ['profile/sim-window', '{ iova: 0, size: 1 }'],
      ['profile/sim-window', '{ iova: 0, size: 1 }'],
    ],
  },
  {
    what: 'more pre-copy than state',
    text: simDevice(SIM.replace('64KiB', '64KiB, precopy: 1MiB'), SIM),
    findings: [['profile/sim-state', '1MiB']],
  },
  {
    what: 'an unknown fault',
    text: simDevice(SIM.replace('64KiB', '64KiB, faults: [{ kind: slow-stopp }]'), SIM),
    findings: [['profile/invalid-value', 'slow-stopp']],
  },
  {
    what: 'a simulated backend for a real device',
    text: deviceKey('backend: sim'),
    findings: [['profile/impossible-choice', 'sim']],
  },
  {
    what: 'a real backend for a simulated device',
    text: simDevice(SIM, SIM, ', backend: iommufd'),
    findings: [['profile/impossible-choice', 'iommufd']],
  },
  {
    what: 'the pinned scope under iommufd',
    text: deviceKey('backend: iommufd\n    tracker: pinned'),
    findings: [['profile/impossible-choice', 'pinned']],
  },
  {
    what: 'IOMMU dirty bits under type1',
    text: deviceKey('backend: type1\n    tracker: iommu'),
    findings: [['profile/impossible-choice', 'iommu']],
  },
  {
    what: 'a tracker that is forbidden',
    text: `${deviceKey('tracker: all')}trackers: { forbidAll: true }\n`,
    findings: [['profile/impossible-choice', 'all']],
  },
  {
    what: 'a mixture of groups that is neither allowed nor refused',
    text: `${VALID}trackers: { mixedContainers: maybe }\n`,
    findings: [['profile/invalid-value', 'maybe']],
  },
  {
    what: 'one container of two backends',
    text: `${deviceKey('backend: type1\n    container: c')}  - { name: b, source: { function: 0000:41:00.2 }, destination: { function: 0000:41:00.3 }, backend: iommufd, container: c }\n`,
    findings: [['profile/impossible-choice', 'c']],
  },
  { what: 'two streams', text: `${VALID}transport: { streams: 2 }\n`, findings: [['profile/streams', '2']] },
]
