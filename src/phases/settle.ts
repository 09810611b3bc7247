/** What becomes of the devices on a destination that runs: held, handed to a command, or closed. */
import { EXIT } from '../exit-codes.js'
import { errorBodyOf, fromHelperError } from '../link/helper-error.js'
import { isLost } from '../link/link-error.js'
import type { Profile, Then } from '../profile/profile.js'
import type { RunSession } from './phase.js'

export interface Settlement {
  readonly then: Then
  readonly workload: string
  /** Where the holder answers from now on. */
  readonly socket: string
  readonly handOut: Profile['handOut']
}

/**
 * One request. When it fails the devices still run in the helper, which stays until somebody says what to do: the
 * error is a FerryError of exit 6 that tells how.
 */
export async function settle(step: RunSession['step'], settlement: Settlement): Promise<void> {
  const { handOut, socket, then, workload } = settlement
  try {
    if (then.kind === 'hold') {
      const text = `hold ${workload} at ${socket}`
      await step({ side: 'destination', op: 'stay', params: { workload, socket, handOut }, text })
    } else if (then.kind === 'exec') {
      const [program = '', ...args] = then.command
      const text = `start ${[program, ...args].join(' ')} with the descriptors`
      await step({ side: 'destination', op: 'exec', params: { command: then.command }, text })
    } else {
      await step({
        side: 'destination',
        op: 'release',
        params: {},
        text: 'close the devices on the destination',
      })
    }
  } catch (error) {
    const body = errorBodyOf(error)
    const what = { hold: 'kept', exec: 'handed over', close: 'closed' }[then.kind]
    // Its own answer, or none: then it may be gone, and the devices with it.
    const lost = isLost(body)
    throw fromHelperError(
      {
        ...body,
        message: lost
          ? `the workload ran on the destination, and its connection was lost before it was ${what}: ${body.message}`
          : `the workload runs on the destination, but could not be ${what}: ${body.message}`,
        suggestion: lost
          ? 'the source keeps its devices, stopped; `ferry recover RUN` finds out what is left there, and goes on'
          : 'its helper stays there with the devices running: repair what is named, then `ferry recover RUN` tries again',
      },
      { exit: EXIT.needsPerson, side: 'destination' },
    )
  }
}
