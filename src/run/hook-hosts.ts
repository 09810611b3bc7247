import { resolve } from 'node:path'
import { hostOf } from '../host/host.js'
import type { Hook, Profile } from '../profile/profile.js'
import type { HookHost } from './hooks.js'

/**
 * Where the hooks of a profile run. A program named by a relative path (`./drain.sh`) is on ferry's own host one below
 * the folder ferry was started in; its working directory is / like everywhere.
 */
export function hookHosts(profile: Profile, cwd: string = process.cwd()): (on: Hook['on']) => HookHost {
  const { keepaliveMs } = profile.transport
  const here = hostOf({ host: 'local' })
  return (on) => {
    if (on !== 'ferry') return hostOf(profile[on], { keepaliveMs })
    return {
      run: (command, options) => {
        const [program = '', ...args] = command
        return here.run([program.includes('/') ? resolve(cwd, program) : program, ...args], options)
      },
    }
  }
}
