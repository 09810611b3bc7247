/** Values that cannot be read. */
import type { BadInput } from './bad-input.js'
import { DEVICE, ram } from './bad-parts.js'
import { changed, VALID } from './samples.js'

export const BAD_VALUES: readonly BadInput[] = [
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
]
