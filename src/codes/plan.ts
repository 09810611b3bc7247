import { PLAN_CODES, type PlanCode } from '../plan/codes.js'
import { summaries, withMeanings, type Advice, type Family } from './code.js'

const ADVICE: Readonly<Record<PlanCode, Advice>> = {
  'plan/no-such-device': {
    cause: 'The address or UUID is misspelled, or the device was removed.',
    remedy: 'Compare the profile with `ferry devices --all` on that host.',
  },
  'plan/kind-differs': {
    cause: 'The profile pairs, for example, an mdev with a PCI function.',
    remedy: 'Pair devices of one kind.',
  },
  'plan/same-device': {
    cause: 'An address was copied, and both sides or two entries name it.',
    remedy: 'Give every device its own source device and its own destination device.',
  },
  'plan/device-differs': {
    cause: 'The hosts have different models of the card, or the wrong function was named.',
    remedy: 'Choose a destination function with the same vendor and device id.',
  },
  'plan/driver-differs': {
    cause: 'One host has the device on another driver, often the generic vfio-pci.',
    remedy: 'Bind both devices to the same migration driver.',
  },
  'plan/type-differs': {
    cause: 'The destination mdev was created with another type.',
    remedy: 'Create the destination mdev with the type of the source.',
  },
  'plan/flags-differ': {
    cause: 'Driver or firmware of the destination is older than that of the source.',
    remedy: 'Bring driver and firmware of the destination to the level of the source.',
  },
  'plan/state-size-differs': {
    cause: 'The drivers report sizes that depend on their version or on what the device is doing.',
    remedy: 'Usually nothing: if the load fails for this reason, Ferry rolls back and the source continues.',
  },
  'plan/not-running': {
    cause: 'An earlier session stopped the device and ended without starting it again.',
    remedy: 'Check that no other session uses it. Ferry brings it to RUNNING when it opens it.',
  },
  'plan/p2p-required': {
    cause: 'The driver of one device lacks the P2P state that stopping several devices together needs.',
    remedy: 'Move this device with a profile of its own, or use a driver that has P2P.',
  },
  'plan/unseen': {
    cause: 'The helper is not root, or the device was in use, so the fact could not be read.',
    remedy: 'Run as root with the device not in use. Otherwise the run checks it before anything moves.',
  },
  'plan/backend-missing': {
    cause: 'The kernel lacks type1 or iommufd, or the device has no node for it.',
    remedy: 'Name the other backend or none, or load the kernel module that is missing.',
  },
  'plan/backend-differs': {
    cause: 'The two hosts offer different backends.',
    remedy: 'Nothing: the state does not depend on it. Name one `backend:` to insist on it.',
  },
  'plan/mixed-container': {
    cause: 'The profile gives an mdev and a PCI function the same `container:`.',
    remedy: 'Remove `container:`, and Ferry keeps them apart.',
  },
  'plan/container-backends': {
    cause: 'The profile gives devices of type1 and of iommufd the same `container:`.',
    remedy: 'Give these devices one backend, or remove `container:`.',
  },
  'plan/container-dirty': {
    cause: 'A device without IOMMU dirty tracking shares a container with one that uses it.',
    remedy: 'Give the device a container of its own, or give the others another tracker.',
  },
  'plan/group-split': {
    cause: 'Two devices of one IOMMU group have different `backend:` or `container:` keys.',
    remedy: 'Give them the same keys, or none.',
  },
  'plan/group-shared': {
    cause: 'Both devices are on one host, and the hardware puts them into one IOMMU group.',
    remedy: 'Choose a destination device of another group: one process alone can open a group.',
  },
  'plan/pinned-needs-emulated': {
    cause: 'The tracker `pinned` was named for a PCI function, or for a container shared with one.',
    remedy: 'Remove the tracker from the profile, or put mdevs into a container of their own.',
  },
  'plan/pinned-needs-type1': {
    cause: 'The tracker `pinned` was named for a device opened through iommufd.',
    remedy: 'Use `backend: type1` for this device, or another tracker.',
  },
  'plan/tracker-unavailable': {
    cause: 'The device keeps no log of its DMA, or the IOMMU of the host cannot track dirty pages.',
    remedy: 'Name another tracker, or none and let Ferry choose.',
  },
  'plan/all-forbidden': {
    cause: '`trackers.forbidAll` is set, and the device has no better tracker.',
    remedy:
      'Remove `forbidAll` and accept that all pages are sent again, or use a device that has a tracker.',
  },
  'plan/all-pages': {
    cause: 'Neither the driver nor the IOMMU can say which pages the device writes.',
    remedy: 'Use a driver that logs DMA, or iommufd on a host whose IOMMU tracks dirty pages.',
  },
  'plan/page-size': {
    cause: 'The kernels of the hosts use different page sizes.',
    remedy: 'Make the IOVA and the size of each region multiples of the larger page size.',
  },
  'plan/cpu-writes': {
    cause:
      'The holder hands its memory to another process, which can write it; no tracker of devices sees that.',
    remedy:
      'Track it with `trackers.process`, or stop that process before the move; `verify: full` finds a lost write before the commit.',
  },
  'plan/truncatable': {
    cause:
      'The region says `othersMayTruncate: true`, so its file is taken whoever may write it. Shortened during a run, it ends the run with `memory/gone` before the commit; the workload loses what was cut off in any case.',
    remedy:
      'Let only root or the helper’s user write the file and its folder, and remove `othersMayTruncate`.',
  },
  'plan/no-integrity': {
    cause:
      'The profile says `transport.insecure`. The checksums have no key: who can insert bytes can write the memory of the workload.',
    remedy: 'Remove `insecure`, and the data is encrypted; or keep it on a cable that nobody else can reach.',
  },
  'plan/kernel-differs': {
    cause: 'The hosts run different kernel releases, and drivers may change their state format between them.',
    remedy: 'Usually nothing: a load that fails is rolled back. Run the same kernel on both to be sure.',
  },
  'plan/socket-path': {
    cause: 'The state folder and the name of the workload are together too long for a socket.',
    remedy: 'Use a shorter `stateDir`, or a shorter name in the profile.',
  },
  'plan/downtime-tight': {
    cause: 'The device state is large, the link is slow, or the limit is low.',
    remedy:
      'Raise `migration.downtimeLimit` or the bandwidth; the run refuses a cutover that would pass the limit.',
  },
  'host/not-root': {
    cause: 'Ferry or its helper runs as an ordinary user.',
    remedy: 'Run Ferry as root, write `become: sudo` for a remote host, or give the user the device nodes.',
  },
  'host/memlock': {
    cause: 'The limit of locked memory of the user or of the service is low.',
    remedy: 'Raise it (`ulimit -l`, `LimitMEMLOCK=`), or run as root.',
  },
  'host/memory': {
    cause: 'Other programs use the memory, or the workload is larger than the host allows.',
    remedy: 'Free memory there, or use another host.',
  },
  'host/huge-pages': {
    cause: 'The helper could not read the pool of huge pages.',
    remedy: 'Look at /sys/kernel/mm/hugepages/*/free_hugepages on that host.',
  },
}

export const PLAN_FAMILY: Family = {
  name: 'plan',
  title: 'Plans',
  where: '`ferry plan`, and every command that makes a plan before it starts',
  codes: {
    'plan/blocked': {
      meaning: 'The plan has blockers, and nothing was started.',
      cause: 'At least one check of the profile against the hosts failed.',
      remedy: 'Work through the listed blockers; each has a code of its own.',
    },
    ...withMeanings(summaries(PLAN_CODES), ADVICE),
  },
}
