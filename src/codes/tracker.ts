import type { Family } from './code.js'

export const TRACKER_FAMILY: Family = {
  name: 'tracker',
  title: 'Trackers',
  where: 'runs and `ferry dirty-log`, when a helper asks which pages the devices wrote',
  codes: {
    'tracker/no-device-log': {
      meaning: 'The driver keeps no log of what the device writes.',
      cause: 'The driver does not implement DMA logging.',
      remedy: 'Use the IOMMU tracker, or the tracker `all`.',
    },
    'tracker/probe-failed': {
      meaning: 'Whether the driver can log DMA cannot be found out.',
      cause: 'The driver reported an error.',
      remedy: 'Read the errno and the kernel log.',
    },
    'tracker/start-failed': {
      meaning: 'A tracker could not be started.',
      cause: 'The driver or the IOMMU refused, or names a page size that is none.',
      remedy: 'Read the errno; name another tracker in the profile.',
    },
    'tracker/stop-failed': {
      meaning: 'A tracker could not be stopped.',
      cause: 'The driver or the IOMMU reported an error.',
      remedy: 'Read the kernel log; closing the device ends it.',
    },
    'tracker/log-lost': {
      meaning: 'A tracker lost what it had noted, so all memory would have to count as dirty.',
      cause: 'The driver or the IOMMU failed to report its log.',
      remedy:
        'The run is undone before COMMIT, and no page is lost. Try again; if it comes back, name another tracker.',
    },
    'tracker/no-answer': {
      meaning:
        'A tracker did not answer: before the stop within `migration.linkTimeout`, in the blackout within the downtime limit.',
      cause: 'A call of the driver or the IOMMU did not return.',
      remedy:
        'The run is undone before COMMIT, and no page is lost. Read the kernel log. A helper whose call never returns keeps the device open until its process has ended. Name another tracker.',
    },
    'tracker/ranges': {
      meaning: 'The memory cannot be logged as the driver wants it.',
      cause: 'A region is empty or not aligned to the page size.',
      remedy: 'Align the regions of the profile to whole pages.',
    },
    'tracker/needs-iommufd': {
      meaning: 'The tracker `iommu` works with iommufd alone.',
      cause: 'The device is in a type1 container.',
      remedy: 'Put it into an iommufd container.',
    },
    'tracker/needs-type1': {
      meaning: 'The tracker `pinned` works with type1 alone.',
      cause: 'The device is in an iommufd container.',
      remedy: 'Put mdevs into a type1 container of their own.',
    },
    'tracker/pinned-needs-emulated': {
      meaning: 'The tracker `pinned` would report every page.',
      cause: 'The container is empty, or has a PCI function in it.',
      remedy: 'Put mdevs into a container of their own.',
    },
    'tracker/compat-container': {
      meaning: 'This /dev/vfio/vfio cannot track.',
      cause: 'It is the imitation of type1 that iommufd offers.',
      remedy: 'Use the tracker `device` or `all`, or a kernel with CONFIG_VFIO_CONTAINER.',
    },
    'tracker/iommu-unsupported': {
      meaning: 'The page table of this container cannot track dirty pages.',
      cause: 'The IOMMU cannot, or the container was made without it.',
      remedy: 'Use another tracker, or let Ferry choose.',
    },
    'tracker/process-unsupported': {
      meaning: 'A process maps the memory, and what it writes cannot be tracked.',
      cause:
        'It registered no userfaultfd for asynchronous write protection, and soft-dirty bits are not there: the kernel lacks CONFIG_MEM_SOFT_DIRTY, or the memory is in huge pages.',
      remedy:
        'Let the process register its mapping (UFFD_FEATURE_WP_ASYNC), end it before the run, or stop tracking it.',
    },
    'tracker/process-unreadable': {
      meaning: 'A process may not be looked at, so it could write the memory unseen.',
      cause: 'The helper is not root, or lacks CAP_SYS_PTRACE.',
      remedy: 'Run the helper as root (`become: sudo`).',
    },
    'tracker/process-running': {
      meaning: 'A process that maps the memory did not stand still in the blackout. The run is undone.',
      cause:
        'It could not be stopped in time, somebody sent it SIGCONT or thawed its cgroup, or it mapped the memory only then.',
      remedy: 'See that nothing wakes it or starts another one during a run; then try again.',
    },
    'tracker/process-not-woken': {
      meaning: 'The run is undone, and a process that was stopped for it still stands.',
      cause: 'The signal or the write to cgroup.freeze was refused.',
      remedy: 'Wake it by hand: `kill -CONT PID`, or write 0 to cgroup.freeze of its cgroup.',
    },
    'tracker/uncovered': {
      meaning: 'A device has no tracker, so its writes would be lost.',
      cause: 'The helper was asked for trackers that leave a device out.',
      remedy: 'Report it: a plan of Ferry gives every device a tracker.',
    },
    'tracker/not-of-container': {
      meaning: 'A tracker was asked of a container that cannot have it.',
      cause: 'A log belongs to a device, not to a container.',
      remedy: 'Report it: Ferry asks the device.',
    },
  },
}
