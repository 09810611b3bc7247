/**
 * The fault matrix, with real processes. `npm test` runs a few cells of it;
 *
 *     FERRY_FAULTS=all npx vitest run test/faults            all of them, for an hour
 *     FERRY_FAULTS='taken up at' npx vitest run …         a killed ferry's run, gone on with
 *     FERRY_FAULTS='^source killed at' npx vitest run …      those whose name is like this
 */
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { isRoot } from '../two-hosts/hosts.js'
import { Matrix, needsRoot } from './matrix.js'
import { runCells } from './run-cells.js'
import { keysOf, STEPS } from './steps.js'
import { ALL_CELLS, COMPRESSED, FAULTS } from './table.js'

const AT_ONCE = 8
const wanted = process.env['FERRY_FAULTS']

function chosen() {
  if (wanted === undefined) return COMPRESSED.filter((cell) => isRoot || !needsRoot(cell))
  const pattern = new RegExp(wanted === 'all' ? '' : wanted, 'u')
  return ALL_CELLS.filter((cell) => pattern.test(cell.name) && (isRoot || !needsRoot(cell)))
}

describe('the fault matrix', () => {
  it('has every record of a run for a step', async () => {
    const matrix = new Matrix({ breaks: [] })
    expect((await matrix.ferry('hold', matrix.path)).exit).toBe(EXIT.done)
    expect((await matrix.migrate([])).exit).toBe(EXIT.done)
    expect([...new Set(keysOf(matrix.journal().records))].sort()).toEqual([...STEPS].sort())
    await matrix.end()
  })

  it('each fault is in what is run every time', () => {
    const often = COMPRESSED.map(({ name }) => name)
    const missing = Object.keys(FAULTS).filter((fault) => !often.some((name) => name.startsWith(fault)))
    // Alike to one that is, or slow.
    const left = [
      'cancel',
      'source terminated',
      'destination stopped',
      'journal: read-only',
      'ferry: stdin ends',
      'source: no address space',
      'destination: no address space',
      'source: cgroup without memory',
      'journal: disk full',
      'destination: disk full',
      'source: disk read-only',
      'destination: disk read-only',
    ]
    expect(missing).toEqual(left.filter((fault) => missing.includes(fault)))
  })

  it(
    'every cell ends safely',
    async () => {
      const cells = chosen()
      expect(cells.length).toBeGreaterThan(0)
      expect(await runCells(cells, AT_ONCE)).toEqual([])
    },
    wanted === undefined ? 15 * 60_000 : 12 * 3_600_000,
  )
})
