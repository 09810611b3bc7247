// Watches devices' migration states in debugfs while something happens to them.
import type { Guest } from './guest.js'

export interface StateSight {
  readonly device: string
  readonly state: string
}

export interface StateWatch {
  /** Every change seen so far, in order, the states at the start included. */
  readonly seen: readonly StateSight[]
  /** Comes back once `device` is seen in `state`; throws if the watcher ends before. */
  until(device: string, state: string): Promise<void>
  stop(): Promise<void>
}

/**
 * One look follows the other within milliseconds, always in the order given: put the destination first, and a sight
 * of it running is older than the next sight of the source.
 */
export async function watchStates(guest: Guest, devices: readonly string[]): Promise<StateWatch> {
  const script = `
    declare -A last
    exec {never}<> <(:)
    while :; do
      for device in ${devices.join(' ')}; do
        read -r state < /sys/kernel/debug/vfio/$device/migration/state || state=gone
        if [[ \${last[$device]:-} != "$state" ]]; then
          last[$device]=$state
          echo "$device $state"
        fi
      done
      read -rt 0.005 -u $never || true
    done`
  const seen: StateSight[] = []
  const waiting = new Set<{ readonly wanted: StateSight; readonly resolve: () => void }>()
  let rest = ''
  const watcher = await guest.start(script, {
    onOutput: (_fd, data) => {
      const lines = (rest + data.toString('utf8')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [device = '', state = ''] = line.split(' ')
        seen.push({ device, state })
      }
      for (const waiter of waiting) if (has(seen, waiter.wanted)) waiter.resolve()
    },
  })
  const over = watcher.wait().then((result) => {
    throw new Error(`the watcher of device states ended (${String(result.exit ?? result.signal)})`)
  })
  over.catch(() => {})
  return {
    seen,
    async until(device, state) {
      const wanted = { device, state }
      if (has(seen, wanted)) return
      await Promise.race([new Promise<void>((resolve) => waiting.add({ wanted, resolve })), over])
    },
    async stop() {
      await watcher.kill('SIGKILL', { group: true })
      await watcher.wait()
    },
  }
}

const has = (seen: readonly StateSight[], wanted: StateSight): boolean =>
  seen.some(({ device, state }) => device === wanted.device && state === wanted.state)
