// The page of what the kernel tracks is the table that dma-table.lab.ts proves, row by row.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { CELLS, tableRows } from '../lab/tracker-table.js'

const lines = readFileSync('docs/kernel-tracking.md', 'utf8').split('\n')

it('is on its page as it is tested in the lab', () => {
  const shown = lines.filter((line) => / \| (?:type1|iommufd) \| /u.test(line))
  expect(shown).toEqual(tableRows().map((row) => `| ${row} |`))
})

it('has a cell for every kind, backend and tracker, and each tracker moves something', () => {
  expect(CELLS).toHaveLength(5 * 2 * 4)
  for (const tracker of ['pinned', 'device', 'iommu', 'all'])
    expect(CELLS.filter((cell) => cell.tracker === tracker && cell.outcome === 'moved')).not.toEqual([])
})
