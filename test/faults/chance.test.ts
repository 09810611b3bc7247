/**
 * Real processes at random: one fault or two, each at a step of its own. `FERRY_FAULT_RUNS` says how many;
 * `FERRY_TEST_SEED=… FERRY_FAULT_RUNS=1` is a run again whose seed was printed. The bulk of the runs at random are in
 * one process: helper/transfer/tests/transfer/random.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isRoot } from '../two-hosts/hosts.js'
import type { Cell } from './matrix.js'
import { runCells } from './run-cells.js'
import { FAULTS } from './table.js'
import { STEPS } from './steps.js'

const RUNS = Number(process.env['FERRY_FAULT_RUNS'] ?? 8)
const AT_ONCE = 4
const first = Number(process.env['FERRY_TEST_SEED'] ?? Date.now() % 1_000_000_000)

// A helper that is stopped costs a run ten seconds; the matrix has those.
const quick = Object.entries(FAULTS).filter(
  ([, { disk, noMemory, stopMs }]) => stopMs === undefined && (isRoot || (disk ?? noMemory) === undefined),
)
const broken = fc.record({
  at: fc.constantFrom(...STEPS),
  fault: fc.constantFrom(...quick),
})

function cellOf(seed: number): Cell {
  const [breaks = []] = fc.sample(fc.array(broken, { minLength: 1, maxLength: 2 }), { seed, numRuns: 1 })
  const name = breaks.map(({ at, fault: [fault] }) => `${fault} at "${at}"`).join(', ')
  return {
    name: `FERRY_TEST_SEED=${seed} FERRY_FAULT_RUNS=1: ${name}`,
    breaks: breaks.map(({ at, fault: [, does] }) => ({ at, does })),
    mayMiss: true,
  }
}

it(
  'whatever breaks, a run ends safely',
  async () => {
    const cells = Array.from({ length: RUNS }, (_, number) => cellOf(first + number))
    expect(await runCells(cells, AT_ONCE)).toEqual([])
  },
  10 * 60_000 + RUNS * 10_000,
)
