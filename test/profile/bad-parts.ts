/** Parts of the sample profile, to put something else in their place. */
import { changed, VALID } from './samples.js'

export const DEVICE = `  - name: vgpu
    source: { mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }
    destination: { mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }
`
export const RAM = '  - { name: ram, iova: 0x0, size: 512MiB, backing: memfd }\n'
export const simDevice = (source: string, destination: string, more = ''): string =>
  changed(
    DEVICE,
    `  - { name: d, source: { sim: ${source} }, destination: { sim: ${destination} }${more} }\n`,
  )
export const ram = (fields: string): string => changed('iova: 0x0, size: 512MiB, backing: memfd', fields)
export const deviceKey = (line: string): string => `${VALID}    ${line}\n`
