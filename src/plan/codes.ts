import type { Reason } from '../inventory/inventory.js'

/**
 * Every code the planner itself gives, beside the inventory's reasons (src/inventory/reasons.ts). Stable; a test
 * holds that each one is reached and that no other is used. `level`: `block` always blocks, `warn` never does,
 * `either` depends on what was found.
 */
export const PLAN_CODES = {
  'plan/no-such-device': {
    layer: 'profile',
    level: 'block',
    summary: 'the profile names a device the host does not have',
  },
  'plan/kind-differs': {
    layer: 'profile',
    level: 'block',
    summary: 'source and destination of a device are not of one kind (mdev, function, simulated)',
  },
  'plan/same-device': {
    layer: 'profile',
    level: 'block',
    summary: 'one device of one host is used twice, or as source and destination',
  },
  'plan/device-differs': {
    layer: 'bus',
    level: 'block',
    summary: 'the two functions have different PCI ids, so no driver will load the other state',
  },
  'plan/driver-differs': {
    layer: 'driver',
    level: 'block',
    summary: 'the two devices are bound to different drivers, whose state streams do not match',
  },
  'plan/type-differs': {
    layer: 'driver',
    level: 'warn',
    summary: 'the two mdevs are of different types; the driver judges that when the state is loaded',
  },
  'plan/flags-differ': {
    layer: 'migration',
    level: 'block',
    summary: 'the destination device lacks a migration flag that the source device has',
  },
  'plan/state-size-differs': {
    layer: 'migration',
    level: 'warn',
    summary: 'the two devices report different state sizes',
  },
  'plan/not-running': {
    layer: 'migration',
    level: 'warn',
    summary: 'the source device is not RUNNING: an earlier session may have left it so',
  },
  'plan/p2p-required': {
    layer: 'migration',
    level: 'block',
    summary: 'several devices move together, and one of them has no P2P state',
  },
  'plan/unseen': {
    layer: 'host',
    level: 'warn',
    summary: 'a fact the plan depends on could not be seen; the run will find out',
  },
  'plan/backend-missing': {
    layer: 'host',
    level: 'block',
    summary: 'the host or the device lacks the backend that is needed',
  },
  'plan/backend-differs': {
    layer: 'host',
    level: 'warn',
    summary: 'source and destination open the device through different backends',
  },
  'plan/mixed-container': {
    layer: 'profile',
    level: 'either',
    summary: 'the profile puts emulated and physical groups into one container, which ends precise tracking',
  },
  'plan/container-backends': {
    layer: 'profile',
    level: 'block',
    summary: 'the profile puts devices of different backends into one container',
  },
  'plan/container-dirty': {
    layer: 'iommu',
    level: 'block',
    summary: 'a dirty-tracking container holds a device whose IOMMU cannot track',
  },
  'plan/group-split': {
    layer: 'group',
    level: 'block',
    summary: 'devices of one IOMMU group are put into different containers or backends',
  },
  'plan/group-shared': {
    layer: 'group',
    level: 'block',
    summary: 'source and destination devices of one host are in one IOMMU group',
  },
  'plan/pinned-needs-emulated': {
    layer: 'tracker',
    level: 'block',
    summary: 'the pinned tracker was asked for a device whose group is physical or not a singleton',
  },
  'plan/pinned-needs-type1': {
    layer: 'tracker',
    level: 'block',
    summary: 'the pinned tracker was asked for outside a type1 container',
  },
  'plan/tracker-unavailable': {
    layer: 'tracker',
    level: 'block',
    summary: 'the profile asks for a tracker the device or host does not have',
  },
  'plan/all-forbidden': {
    layer: 'tracker',
    level: 'block',
    summary: 'only the tracker `all` is left, and the profile forbids it',
  },
  'plan/all-pages': {
    layer: 'tracker',
    level: 'warn',
    summary: 'a device is not tracked: every page counts as dirty in every round',
  },
  'plan/page-size': {
    layer: 'host',
    level: 'either',
    summary: 'the page sizes of the hosts differ, or a region is not aligned to them',
  },
  'plan/cpu-writes': {
    layer: 'tracker',
    level: 'warn',
    summary: 'the memory may be in the hands of another process, whose own writes no tracker sees',
  },
  'plan/truncatable': {
    layer: 'host',
    level: 'warn',
    summary: 'another user may shorten the file behind a region, which ends a run',
  },
  'plan/no-integrity': {
    layer: 'link',
    level: 'warn',
    summary: 'the data travels in the clear, integrity: none',
  },
  'plan/kernel-differs': {
    layer: 'host',
    level: 'warn',
    summary: 'real devices move between different kernel releases',
  },
  'plan/socket-path': {
    layer: 'host',
    level: 'block',
    summary: 'the holder could not be reached: the path of its socket would be too long',
  },
  'plan/downtime-tight': {
    layer: 'profile',
    level: 'warn',
    summary: 'what is known of the blackout before any byte is sent already passes the downtime limit',
  },
  'host/not-root': {
    layer: 'host',
    level: 'block',
    summary: 'the helper does not run as root and could not open the devices',
  },
  'host/memlock': {
    layer: 'host',
    level: 'either',
    summary: 'RLIMIT_MEMLOCK is smaller than what mapping will pin',
  },
  'host/memory': {
    layer: 'host',
    level: 'block',
    summary: 'the host has less memory available than the workload needs',
  },
  'host/huge-pages': {
    layer: 'host',
    level: 'warn',
    summary: 'the workload wants huge pages, whose pool could not be seen',
  },
} as const satisfies Record<
  string,
  {
    readonly layer: Reason['layer']
    readonly level: 'block' | 'warn' | 'either'
    readonly summary: string
  }
>

export type PlanCode = keyof typeof PLAN_CODES
