/** Runs cells side by side: most of the time each waits for a process. */
import { run } from './cell.js'
import { needsNetwork, type Cell } from './matrix.js'
import { Network } from './network.js'

export interface Failed {
  readonly cell: string
  readonly wrong: readonly string[]
}

export async function runCells(cells: readonly Cell[], atOnce: number): Promise<readonly Failed[]> {
  const failed: Failed[] = []
  const queue = [...cells]
  const worker = async (): Promise<void> => {
    // Hosts are made once for all the cells that one after the other need them.
    let network: Network | undefined
    try {
      for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
        const began = performance.now()
        if (needsNetwork(cell)) network ??= await Network.up()
        const wrong = await run(cell, needsNetwork(cell) ? network : undefined)
        if (wrong.length > 0) failed.push({ cell: cell.name, wrong })
        const took = `${((performance.now() - began) / 1000).toFixed(1)} s`
        if (process.env['FERRY_FAULTS_TOLD'] !== undefined)
          console.log(wrong.length === 0 ? 'ok  ' : 'FAIL', took, cell.name, ...wrong)
      }
    } finally {
      await network?.down()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return failed
}
