import type { Family } from './code.js'

export const IOMMU_FAMILY: Family = {
  name: 'iommu',
  title: 'IOMMU and memory',
  where:
    '`ferry hold`, `ferry pin`, `ferry dirty-log` and runs, when a helper opens containers and maps memory',
  codes: {
    'iommu/no-type1': {
      meaning: 'The host has no type1 container.',
      cause: 'vfio_iommu_type1 is not loaded, or the kernel was built without it.',
      remedy: 'Load it, or use the backend iommufd.',
    },
    'iommu/no-iommufd': {
      meaning: 'The host has no iommufd for this user.',
      cause: 'iommufd is not loaded, or /dev/iommu is closed to the user.',
      remedy: 'Load it and open the node to this user, or use the backend type1.',
    },
    'iommu/no-group': {
      meaning: 'The device has no IOMMU group.',
      cause: 'The IOMMU is off.',
      remedy: 'Turn it on in the firmware, and in the kernel with intel_iommu=on where that is needed.',
    },
    'iommu/noiommu': {
      meaning: 'The device is in noiommu mode, in which nothing translates or tracks its DMA.',
      cause: 'vfio was loaded with enable_unsafe_noiommu_mode=1.',
      remedy: 'Turn the IOMMU on and load vfio without that option.',
    },
    'iommu/not-viable': {
      meaning: 'Another device of the group is in use by its own driver.',
      cause: 'Not every function of the card was bound to VFIO.',
      remedy: 'Bind every member of the group to a VFIO driver or to none; `ferry devices` names them.',
    },
    'iommu/group-status': {
      meaning: 'The state of the IOMMU group cannot be read.',
      cause: 'The node is not a VFIO group.',
      remedy: 'Check what is at /dev/vfio/GROUP.',
    },
    'iommu/attach-failed': {
      meaning: 'The device cannot join the container.',
      cause: 'Its IOMMU differs from those of the other devices, or cannot track dirty pages.',
      remedy: 'Give it a container of its own, or leave the choice to Ferry.',
    },
    'iommu/bind-failed': {
      meaning: 'The driver refused to give the device to iommufd.',
      cause: 'The driver or the device failed.',
      remedy: 'Read the errno and the kernel log.',
    },
    'iommu/ioas-failed': {
      meaning: 'iommufd could not make an address space.',
      cause: 'The kernel is out of memory, or too old.',
      remedy: 'Read the errno in the message.',
    },
    'iommu/hwpt-failed': {
      meaning: 'iommufd could not make a page table that tracks dirty pages.',
      cause: 'The IOMMU cannot track, memory is short, or the limit of locked memory is reached.',
      remedy: 'Use another tracker, or raise the limit (`ulimit -l`).',
    },
    'iommu/info-failed': {
      meaning: 'The container does not say what it can map.',
      cause: 'No device has joined it yet, or the kernel refused.',
      remedy: 'Read the errno in the message; report it.',
    },
    'iommu/tracking-started': {
      meaning: 'A device came to a container that is already tracking.',
      cause: 'Requests came in the wrong order.',
      remedy: 'Report it: Ferry attaches all devices first.',
    },
    'iommu/iova-reserved': {
      meaning: 'A memory region lies where the IOMMU of this host cannot map.',
      cause: 'The host reserves these IOVAs, for example for interrupts.',
      remedy: 'Move the region to one of the ranges in the message.',
    },
    'iommu/map-failed': {
      meaning: 'Memory cannot be mapped for the devices.',
      cause: 'The container has no room for more mappings, or the kernel refused.',
      remedy: 'Raise dma_entry_limit of vfio_iommu_type1, or read the errno.',
    },
    'iommu/memlock': {
      meaning: 'Mapping the memory passes the limit of locked memory.',
      cause: 'The limit of the user or of the service is low.',
      remedy: 'Raise it (`ulimit -l`, `LimitMEMLOCK=`), or run as root.',
    },
    'iommu/not-mapped': {
      meaning: 'A region was to be unmapped that is not mapped.',
      cause: 'Requests came in the wrong order.',
      remedy: 'Report it.',
    },
    'iommu/unmap-failed': {
      meaning: 'A region could not be unmapped as a whole.',
      cause: 'The kernel refused, or holds another mapping there.',
      remedy: 'Read the errno; closing the helper removes the mapping.',
    },
    'memory/open': {
      meaning: 'The file or the memory of a region cannot be opened.',
      cause: 'The file is missing or closed to the user, or the host has no such huge pages.',
      remedy: 'Check the path, the permissions and the size of huge pages.',
    },
    'memory/map': {
      meaning: 'The memory of a region cannot be mapped into the helper.',
      cause: 'The region is too large, or memory is short.',
      remedy: 'Free memory, or make the region smaller.',
    },
    'memory/populate': {
      meaning: 'The memory of a region is not there in full.',
      cause: 'There is too little free memory, or too few huge pages.',
      remedy: 'Free memory or reserve more huge pages on that host.',
    },
    'memory/too-small': {
      meaning: 'The file behind a region is shorter than the region.',
      cause: 'The file was not made at its full size.',
      remedy: 'Enlarge it (`truncate -s`), or correct the size in the profile.',
    },
    'memory/open-to-others': {
      meaning: 'Another user may truncate or replace the file behind a region.',
      cause: 'The file or its folder belongs to another user, or is writable for group or others.',
      remedy:
        'Run `chown` and `chmod go-w` on what is named, or set `othersMayTruncate: true` for the region.',
    },
    'memory/gone': {
      meaning: 'Part of a region was gone while the helper used it.',
      cause: 'A process truncated the file behind it, or the host ran out of huge pages.',
      remedy: 'The run is undone before it commits. End what truncates the file, then run again.',
    },
    'memory/layout': {
      meaning: 'Regions overlap, are not whole pages, or have one name.',
      cause: 'The profile does not fit the page size of this host.',
      remedy: 'Correct the regions as the message says.',
    },
  },
}
