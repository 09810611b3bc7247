/** What the commands that come to a run from outside have in common. */
import type { Command } from '@oclif/core'
import { BaseCommand } from './base-command.js'
import type { FoundRun } from '../control/client.js'

export abstract class RunQuery<C extends typeof Command> extends BaseCommand<C> {
  /** Finds the run and closes the connection to it, if there is one, when `work` is done. */
  protected async withRun<T>(run: string, work: (found: FoundRun) => Promise<T>): Promise<T> {
    const { findRun } = await import('../control/client.js')
    const found = await findRun(this.stateDir, run)
    try {
      return await work(found)
    } finally {
      found.connection?.close()
    }
  }
}
