/** What keeps a helper that was taken over from more than its work: filters of system calls, Landlock, few capabilities. */
import type { Confinement } from '../protocol/protocol.js'
import { listed } from '../units.js'
import { ok, warn, type Check } from './check.js'

/** Versions from this one on also keep TCP ports from threads that connect to nothing. */
const PORTS_SINCE = 4

/** @param found undefined: the helper is older than the answer. */
export function confinementChecks(found: Confinement | undefined): readonly Check[] {
  if (found === undefined) {
    const remedy = 'leave `helper:` out, and ferry brings its own; a holder tells once it is started anew'
    return [
      warn(
        'confinement',
        'confinement',
        'this helper is an older one, and does not say what confines it',
        remedy,
      ),
    ]
  }
  const { capabilities, landlock, seccomp } = found
  const held = capabilities.length === 0 ? 'no capability' : listed(capabilities)
  const force = [
    ...(seccomp ? ['seccomp'] : []),
    ...(landlock > 0
      ? [`Landlock (version ${landlock}${landlock < PORTS_SINCE ? ', files only' : ''})`]
      : []),
  ]
  return [
    ok(
      'confinement',
      'confinement',
      `in force: ${force.length === 0 ? 'nothing but dropped capabilities' : listed(force)}; of root it keeps ${held}`,
    ),
    ...(seccomp
      ? []
      : [
          warn(
            'confinement',
            'no-seccomp',
            'this kernel filters no system calls: threads that hear the network may make any that their user may',
            'run a kernel with CONFIG_SECCOMP_FILTER, or let the container allow seccomp(2)',
          ),
        ]),
    ...(landlock > 0
      ? []
      : [
          warn(
            'confinement',
            'no-landlock',
            'this kernel has no Landlock: the thread that carries a run out may open any file that its user may',
            'run a kernel with CONFIG_SECURITY_LANDLOCK (5.13), and with landlock in `lsm=`',
          ),
        ]),
  ]
}
