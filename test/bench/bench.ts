/**
 * `npm run bench`: what is fast and what is not, each figure beside a baseline measured in the same run, because
 * the machines are noisy and only ratios travel. Prints tables; `--json FILE` also writes the numbers.
 *
 * Not part of the tests: nothing here passes or fails but by not running at all.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { table, type Column } from '../../src/ui/table.js'
import { bitmapBench } from './bitmap.js'
import { blackoutBench } from './blackout.js'
import type { BenchTable } from './measure.js'
import { startUpBench } from './start-up.js'
import { throughputBench } from './throughput.js'

const BENCHES: Readonly<Record<string, () => Promise<BenchTable>>> = {
  throughput: throughputBench,
  blackout: blackoutBench,
  bitmap: bitmapBench,
  'start-up': startUpBench,
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'string' } } })
const wanted = positionals.length > 0 ? positionals : Object.keys(BENCHES)
const unknown = wanted.filter((name) => !(name in BENCHES))
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`)
  process.exit(2)
}

const results: Record<string, unknown> = {}
for (const name of wanted) {
  const bench = BENCHES[name]
  if (bench === undefined) continue
  const { title, note, columns, rows, data } = await bench()
  results[name] = data
  const shape = columns.map((title, index): Column => ({ title, align: index === 0 ? 'left' : 'right' }))
  console.log(`${title}\n${table(shape, rows)}\n${note}\n`)
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`)
