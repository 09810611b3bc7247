/** Memory and devices that do not go together. */
import type { BadInput } from './bad-input.js'
import { deviceKey, ram, RAM, simDevice } from './bad-parts.js'
import { changed, SIM, VALID } from './samples.js'

export const BAD_WORKLOADS: readonly BadInput[] = [
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
]
