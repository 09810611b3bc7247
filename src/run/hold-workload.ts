/** `ferry hold`: a workload's devices and memory in a helper that stays, outside of any run. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { claimOf, holderSocket, stateDirOf, withRun } from '../plan/sockets.js'
import type { Call } from '../phases/phase.js'
import { endText, type HelperEnd } from '../host/connection.js'
import type { Op, StatusReply } from '../protocol/protocol.js'
import { blockedError, prepare, type PrepareOptions } from './prepare.js'
import { newRunId } from '../journal/run-id.js'

export interface HoldInput extends Omit<PrepareOptions, 'purpose'> {
  /** Told what is done, step by step. */
  readonly onStep: (text: string) => void
}
export interface Held {
  readonly workload: string
  /** Where the holder answers: `from: holder` finds it there by the workload's name. */
  readonly socket: string
  readonly pid: number
  readonly handOut: { readonly socket: string; readonly uid: number } | null
  readonly devices: StatusReply['devices']
  /** Settles when the holder is gone; it does not keep ferry waiting unless somebody awaits it. */
  readonly gone: Promise<HelperEnd>
}

/** Opens everything or nothing: a failure half-way closes what was opened and throws a FerryError. */
export async function holdWorkload(input: HoldInput): Promise<Held> {
  const { onStep, ...options } = input
  const {
    plan,
    profile,
    source: client,
    close,
  } = await prepare({
    ...options,
    // No process has the devices yet, whatever a migration by this profile expects later.
    profile: { ...options.profile, source: { ...options.profile.source, from: 'open' } },
    purpose: 'hold',
  })
  try {
    if (plan.blockers.length > 0) throw blockedError(plan)
    const run = newRunId()
    client.bind(run, 1)
    const ask = async <K extends Op>({ op, params, text }: Pick<Call<K>, 'op' | 'params' | 'text'>) => {
      onStep(text)
      return client.request(op, params)
    }
    for (const step of plan.steps) {
      if (step.side !== 'source' || step.phase !== 'pin') continue
      await ask(withRun(step, run) as Call<Op>)
    }
    const claim = claimOf(plan, 'source')
    if (claim === undefined) throw new Error('a plan without a claim')
    const socket = holderSocket(stateDirOf(claim), profile.name)
    const { handOut, name: workload } = profile
    await ask({ op: 'stay', params: { workload, socket, handOut }, text: `stay at ${socket}` })
    const { devices } = await client.request('status', {})
    const { pid } = client.helloReply
    await client.close()
    return { workload, socket, pid, handOut, devices, gone: client.ended }
  } catch (error) {
    await close()
    throw error
  }
}

/** What became of a holder that was waited for; null when it closed its devices in order on request. */
export function holderLostError(workload: string, end: HelperEnd): FerryError | null {
  if (end.exitCode === 0) return null
  const { explanation } = end
  if (explanation !== undefined) {
    return new FerryError({
      code: explanation.code,
      exit: EXIT.error,
      message: [
        `the connection to the holder of ${workload} was lost: ${explanation.message}`,
        ...end.stderr,
      ].join('\n  '),
      suggestions: [
        explanation.suggestion,
        'the holder itself stays: `ferry release --hold` ends it, and a migration `from: holder` finds it',
      ],
    })
  }
  return new FerryError({
    code: 'hold/lost',
    exit: EXIT.error,
    message: `the holder of ${workload} ${endText(end)} without being asked to`,
    suggestions: ['its devices were closed with it: hold the workload again'],
  })
}

/** The unit a host's systemd starts a holder by. Paths are absolute; `ferry` is the one that prints it. */
export function systemdUnit(
  profile: { readonly name: string; readonly path: string },
  ferry: readonly string[],
  flags: readonly string[] = [],
): string {
  if (!profile.path.startsWith('/')) {
    throw new FerryError({
      code: 'hold/profile',
      exit: EXIT.usage,
      message: 'a unit needs a profile that is a file',
      suggestions: ['give its path instead of -'],
    })
  }
  const command = [...ferry, 'hold', profile.path, '--foreground', ...flags].map(unitWord).join(' ')
  return `[Unit]
Description=Devices and memory of ${profile.name}, held by ferry
Documentation=man:systemd.service(5)

[Service]
Type=exec
ExecStart=${command}
# SIGTERM goes to ferry alone, which lets the holder close its devices in order.
KillMode=mixed
LimitMEMLOCK=infinity
Restart=no

[Install]
WantedBy=multi-user.target
`
}

/** As systemd.syntax(7) reads words: quoted where needed, percent and dollar doubled. */
function unitWord(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w@+=:,./%$-]+$/u.test(plain) ? plain : `"${plain.replaceAll(/["\\]/gu, String.raw`\$&`)}"`
}
