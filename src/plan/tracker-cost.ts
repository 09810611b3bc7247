import type { TrackerKind } from '../protocol/protocol.js'
import { plainSize } from '../units.js'

/** What a tracker makes a round send beyond the pages that were written. */
export interface TrackerCost {
  /**
   * What one bit stands for: a `page`; a `log-unit`, which the driver chooses when its log starts; a
   * `page-table-entry` of the IOMMU; or nothing at all (`every-page`).
   */
  readonly granularity: 'page' | 'log-unit' | 'page-table-entry' | 'every-page'
  /** Bytes one bit stands for at least; for `every-page` all of the memory. */
  readonly unitBytes: bigint
  /** What is reported again in the next round although it was not written. */
  readonly repeats: 'nothing' | 'pinned' | 'everything'
  readonly text: string
}

/** `everyPage`: the tracker cannot tell pages apart, whatever its kind says. Sizes in bytes. */
export function trackerCost(
  kind: TrackerKind,
  everyPage: boolean,
  pageSize: number,
  memoryBytes: bigint,
  iommuHugePages: 'split' | 'keep',
): TrackerCost {
  const unitBytes = BigInt(pageSize)
  const page = plainSize(unitBytes)
  if (everyPage) {
    return {
      granularity: 'every-page',
      unitBytes: memoryBytes,
      repeats: 'everything',
      text: `every mapped page in every round: ${plainSize(memoryBytes)} each time, and in the blackout once more`,
    }
  }
  switch (kind) {
    case 'pinned':
      return {
        granularity: 'page',
        unitBytes,
        repeats: 'pinned',
        text:
          `exact to pages of ${page} in what the driver pinned or wrote since the last read; what stays pinned ` +
          'is reported again in every round, written or not, and in the blackout once more',
      }
    case 'device':
      return {
        granularity: 'log-unit',
        unitBytes,
        repeats: 'nothing',
        text:
          `exact to the unit of its log: ${page} is asked for, and a driver that logs more coarsely reports the ` +
          'pages beside a written one, too; a page is reported once for each round it was written in',
      }
    case 'iommu':
      return {
        granularity: 'page-table-entry',
        unitBytes,
        repeats: 'nothing',
        text:
          iommuHugePages === 'keep'
            ? `one bit for each entry of the IOMMU's page table: entries of ${page} where memory is in such pages, ` +
              'and of 2 MiB or 1 GiB where it is in huge ones (trackers.iommuHugePages), all of which counts as written'
            : `one bit for each entry of the IOMMU's page table: entries of ${page}, because huge ones are switched off ` +
              'for this container (with them one written byte would cost 2 MiB or 1 GiB); the table and its walk are the ' +
              'larger for it',
      }
    case 'process':
      return {
        granularity: 'page',
        unitBytes,
        repeats: 'nothing',
        text:
          `exact to pages of ${page}, and to huge ones where a process maps them so; what is not in its page table ` +
          'counts as written',
      }
    case 'all':
      return trackerCost(kind, true, pageSize, memoryBytes, iommuHugePages)
  }
}
