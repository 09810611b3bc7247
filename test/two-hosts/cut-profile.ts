import { device, workload, type Sim } from '../support/workload.js'
import type { TwoHosts } from './hosts.js'

/** A run long enough to be cut, whose links are soon missed. */
export function cutProfile(
  hosts: TwoHosts,
  sim: Partial<Sim>,
  more: Record<string, unknown> = {},
  migration: object = {},
): string {
  return hosts.profile({
    ...workload([device('nic', sim)], { name: 'cut' }),
    ...hosts.sides({ destination: { then: 'close' } }),
    transport: { keepalive: '2s', streams: 2 },
    ...more,
    migration: { downtimeLimit: '20s', precopy: { rounds: 20, time: '20s' }, ...migration },
  })
}
