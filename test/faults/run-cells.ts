/** Runs cells side by side: most of the time each waits for a process. */
import { run, type Cell } from './cell.js'

export interface Failed {
  readonly cell: string
  readonly wrong: readonly string[]
}

export async function runCells(cells: readonly Cell[], atOnce: number): Promise<readonly Failed[]> {
  const queue = [...cells]
  const failed: Failed[] = []
  const worker = async (): Promise<void> => {
    for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
      const began = performance.now()
      const wrong = await run(cell)
      if (wrong.length > 0) failed.push({ cell: cell.name, wrong })
      const took = `${((performance.now() - began) / 1000).toFixed(1)} s`
      if (process.env['FERRY_FAULTS_TOLD'] !== undefined)
        console.log(wrong.length === 0 ? 'ok  ' : 'FAIL', took, cell.name, ...wrong)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return failed
}
