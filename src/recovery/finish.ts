/** Carrying out what was decided about an interrupted run. */
import type { Outcome, SideAddresses } from '../journal/event.js'
import type { RunSession } from '../phases/phase.js'
import { settle } from '../phases/settle.js'
import type { HelperErrorBody } from '../protocol/protocol.js'
import type { Recovery } from './decide.js'
import type { Found } from './sides.js'

type Step = RunSession['step']

interface Finishing {
  readonly step: Step
  readonly addresses: SideAddresses
  readonly source: Found
  readonly destination: Found
  readonly run: string
}

export async function finishRun(
  decided: Recovery,
  { addresses, destination, run, source, step }: Finishing,
): Promise<{ outcome: Outcome; error: HelperErrorBody | null }> {
  const done = { outcome: 'done', error: null } as const
  switch (decided.do) {
    case 'nothing':
      return { outcome: decided.outcome, error: null }
    case 'refuse':
      return {
        outcome: decided.outcome,
        error: {
          code: decided.code ?? (decided.outcome === 'unknown' ? 'run/unknown' : 'recover/refused'),
          message: decided.why,
          suggestion: decided.remedy.replaceAll('RUN', run),
        },
      }
    case 'finish':
      await step({
        side: 'destination',
        op: 'finish',
        params: {},
        text: 'tell the destination that the source has committed',
      })
      await settleBoth(step, addresses, source, destination)
      return done
    case 'settle':
      await settleBoth(step, addresses, source, destination)
      return done
    case 'go-back':
      return rollBack(decided.discard, step, addresses, source, run)
  }
}

async function settleBoth(
  step: Step,
  addresses: SideAddresses,
  source: Found,
  destination: Found,
): Promise<void> {
  const { handOut, releaseSource, then, workload } = addresses
  // The last of the destination's sockets is the holder's.
  const socket = addresses.destination.sockets.at(-1) ?? ''
  if (!/settled$/u.test(destination.found)) await settle(step, { then, workload, socket, handOut })
  if (releaseSource === 'on-commit' && source.found === 'answers') {
    await step({ side: 'source', op: 'release', params: {}, text: 'release the source' })
  }
}

async function rollBack(
  discard: 'ask' | 'record' | 'none',
  step: Step,
  addresses: SideAddresses,
  source: Found,
  run: string,
): Promise<{ outcome: Outcome; error: HelperErrorBody | null }> {
  if (discard === 'record') {
    const params = {
      recordDir: addresses.destination.recordDir,
      run,
      role: 'destination',
      discard: true,
    } as const
    await step({ side: 'destination', op: 'record', params, text: 'record that the run is discarded' })
  } else if (discard === 'ask') {
    await step({
      side: 'destination',
      op: 'rollback',
      params: {},
      text: 'discard the run on the destination',
    })
    await step({ side: 'destination', op: 'release', params: {}, text: 'release the destination' })
  }
  const back = source.found === 'runs' || source.found === 'ran'
  if (source.found !== 'answers' && !back) {
    if (source.found === 'gone-open') {
      // Wakes the processes that its helper stopped for the blackout: nothing else will.
      await step({
        side: 'source',
        op: 'record',
        params: { recordDir: addresses.source.recordDir, run, role: 'source', discard: true },
        text: 'record that the run is discarded, and wake what was stopped for it',
      })
    }
    return {
      outcome: 'needs-person',
      error: {
        code: 'source/helper-died',
        message:
          `the destination has nothing of the run, and the source's helper has ended: the kernel closed ` +
          `${addresses.source.devices.join(', ')}, which resets a device`,
        suggestion: 'start the workload anew on the source',
      },
    }
  }
  if (back) return { outcome: 'rolled-back', error: null }
  const params = { peerDiscarded: true }
  const text = 'bring the devices back to RUNNING'
  const { devices, needsPerson } = await step({ side: 'source', op: 'rollback', params, text })
  const still = devices.filter(({ state }) => state !== 'RUNNING')
  const stuck = needsPerson[0]
  if (stuck !== undefined || still[0] !== undefined) {
    const message = still.map(({ device, state }) => `${device} is ${state}`).join(', ')
    return { outcome: 'needs-person', error: stuck ?? { code: 'source/not-running', message } }
  }
  // What was opened for the run is given back; a holder keeps what it held before.
  await step({ side: 'source', op: 'release', params: { keep: true }, text: 'release the source' })
  return { outcome: 'rolled-back', error: null }
}
