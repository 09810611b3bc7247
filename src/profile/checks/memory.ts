/** What no shape can say about memory: pages, ends, overlaps, names, files. */
import type { ProfileFinding, Path } from '../findings/finding.js'
import { formatSize } from '../schema/quantity.js'
import type { BackingInput, RegionInput } from '../schema/memory.js'

/** A part of the profile whose shape is right, and where it stands. */
export interface Placed<T> {
  readonly path: Path
  readonly value: T
}

/** Smallest page any device or IOMMU here works with. */
export const PAGE_BYTES = 4096n
const ADDRESS_SPACE = 2n ** 64n

export const hex = (value: bigint): string => `0x${value.toString(16)}`

/** `oneHost`: source and destination are the same host, so a file must not serve both. */
export function checkMemory(regions: readonly Placed<RegionInput>[], oneHost: boolean): ProfileFinding[] {
  return [
    ...regions.flatMap(checkRegion),
    ...duplicates(regions, 'profile/duplicate-region', 'memory region'),
    ...overlaps(regions),
    ...sharedFiles(regions, oneHost),
  ]
}

function checkRegion({ path, value: region }: Placed<RegionInput>): ProfileFinding[] {
  const findings: ProfileFinding[] = []
  const size = [...path, 'size']
  const invalid = (code: ProfileFinding['code'], where: Path, label: string, help?: string): void => {
    findings.push({
      code,
      path: where,
      found: `memory region \`${region.name}\`: ${label}`,
      ...(help !== undefined && { remedy: help }),
    })
  }
  if (region.iova % PAGE_BYTES !== 0n) {
    const down = region.iova - (region.iova % PAGE_BYTES)
    invalid(
      'profile/region-misaligned',
      [...path, 'iova'],
      'the IOVA is not on a 4 KiB page',
      `the nearest page below is ${hex(down)}`,
    )
  }
  if (region.size === 0n) invalid('profile/region-empty', size, 'the size is zero')
  const page = largestPage(region)
  if (region.size % page !== 0n) {
    invalid(
      'profile/region-misaligned',
      size,
      `the size is not a whole number of ${formatSize(page)} pages`,
      `the next whole one is ${formatSize((region.size / page + 1n) * page)}`,
    )
  }
  if (region.iova + region.size >= ADDRESS_SPACE) {
    const past = region.iova + region.size > ADDRESS_SPACE
    // The kernel's own limit: an iova + size that wraps to 0 is refused by every map and dirty ioctl.
    const label = past ? 'it goes past the end of the 64-bit address space' : 'it ends exactly at 2^64'
    invalid('profile/region-past-end', size, label, 'the last page of the address space cannot be used')
  }
  return findings
}

function largestPage(region: RegionInput): bigint {
  const { backing } = region
  const each = backing === 'memfd' ? [] : [backing, backing.source, backing.destination]
  const huge = each.map((one) => {
    if (one === undefined || one === 'memfd') return PAGE_BYTES
    if (one.memfd?.hugePages === '1GiB') return 1024n ** 3n
    return one.memfd?.hugePages === '2MiB' ? 2n * 1024n ** 2n : PAGE_BYTES
  })
  return huge.reduce((most, page) => (page > most ? page : most), PAGE_BYTES)
}

/** Named items (regions, devices) whose name stood before. */
export function duplicates(
  items: readonly Placed<{ readonly name: string }>[],
  code: ProfileFinding['code'],
  what: string,
): ProfileFinding[] {
  const seen = new Set<string>()
  return items.flatMap(({ path, value: { name } }) => {
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [
      {
        code,
        path: [...path, 'name'],
        found: `a second ${what} is named \`${name}\``,
        remedy: 'names are used once',
      },
    ]
  })
}

/** Each region that begins before an earlier one (by address) has ended; reported at the one later in the file. */
function overlaps(regions: readonly Placed<RegionInput>[]): ProfileFinding[] {
  const order = regions.map((region, index) => ({ ...region, index }))
  order.sort((a, b) =>
    a.value.iova < b.value.iova ? -1 : a.value.iova > b.value.iova ? 1 : a.index - b.index,
  )
  const findings: ProfileFinding[] = []
  let reach: (typeof order)[number] | undefined
  for (const region of order) {
    if (region.value.size === 0n) continue
    if (reach !== undefined && region.value.iova < end(reach.value)) {
      const [first, second] = reach.index < region.index ? [reach, region] : [region, reach]
      findings.push({
        code: 'profile/region-overlap',
        path: [...second.path, 'iova'],
        found: `memory region \`${second.value.name}\` overlaps \`${first.value.name}\``,
        label: `${hex(second.value.iova)}..${hex(end(second.value))}`,
        remedy: `\`${first.value.name}\` is ${hex(first.value.iova)}..${hex(end(first.value))}`,
      })
    }
    if (reach === undefined || end(region.value) > end(reach.value)) reach = region
  }
  return findings
}

function end(region: RegionInput): bigint {
  return region.iova + region.size
}

/** A file that backs two regions of one host would be written through both. */
function sharedFiles(regions: readonly Placed<RegionInput>[], oneHost: boolean): ProfileFinding[] {
  const users = new Map<string, string>()
  const findings: ProfileFinding[] = []
  for (const { path, value: region } of regions) {
    for (const side of ['source', 'destination'] as const) {
      const file = fileOf(region, side)
      if (file === undefined) continue
      const key = `${oneHost ? 'host' : side}:${file}`
      const user = users.get(key)
      const here = `${region.name} (${side})`
      if (user === undefined) users.set(key, here)
      else {
        findings.push({
          code: 'profile/same-file',
          path: [...path, 'backing'],
          found: `\`${file}\` backs both ${user} and ${here}`,
          remedy:
            oneHost && user.startsWith(`${region.name} (`)
              ? 'both sides are on one host: give each its own file with {source: …, destination: …}'
              : 'give each region its own file',
        })
        break
      }
    }
  }
  return findings
}

function fileOf(region: RegionInput, side: 'source' | 'destination'): string | undefined {
  const { backing } = region
  if (backing === 'memfd') return undefined
  const own: BackingInput | undefined = backing[side] ?? backing
  return own === 'memfd' ? undefined : own.file
}
