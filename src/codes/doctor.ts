import type { Family } from './code.js'

export const DOCTOR_FAMILY: Family = {
  name: 'doctor',
  title: 'Doctor',
  where: '`ferry doctor`; a check of the same code can also say that all is well',
  codes: {
    'doctor/unsound': {
      meaning: 'A host is not ready for what was asked.',
      cause: 'At least one check failed.',
      remedy: 'Do what the failed checks advise, then run `ferry doctor` again.',
    },
    'doctor/facts': {
      meaning: 'The host answered with something that cannot be read.',
      cause: 'A login script of that user prints text or ends the shell early.',
      remedy: 'Look at what `ssh HOST sh -c true` prints, and silence it for sessions without a terminal.',
    },
    'doctor/unfinished': {
      meaning: 'Whether runs of this ferry were left behind that somebody has to recover.',
      cause: 'Their ferry died, or they ended with a side unknown, in need of a person, or declared dead.',
      remedy: '`ferry list --unfinished` shows them; `ferry recover RUN` finishes each.',
    },
    'doctor/ssh': {
      meaning: 'Whether the host can be reached over ssh, and how long it took.',
      cause: 'This code alone is good news; a failure carries a `link/` code.',
      remedy: 'Nothing.',
    },
    'doctor/helper': {
      meaning: 'Which helper runs on the host: its version, protocol and build.',
      cause: 'This code alone is good news; a failure carries a `helper/` code.',
      remedy: 'Nothing.',
    },
    'doctor/root': {
      meaning: 'The helper runs as root, or needs no root for simulated devices.',
      cause: 'It was started by root or through sudo.',
      remedy: 'Nothing.',
    },
    'doctor/capabilities': {
      meaning: "The helper is root, but without some of root's capabilities.",
      cause: 'It runs inside a container.',
      remedy: 'Run Ferry and its helper outside of the container, or give the container the capabilities.',
    },
    'doctor/not-root': {
      meaning: 'The helper is not root; it can look, plan and simulate, but not open devices.',
      cause: 'Ferry reaches the host as an ordinary user.',
      remedy:
        'Write `become: sudo` for this host, reach it as root, or give the user the nodes in /dev/vfio.',
    },
    'doctor/confinement': {
      meaning:
        'What keeps the helper from more than its work: seccomp, Landlock and its version, the capabilities that stay.',
      cause: 'The helper was asked. One that is older than the question is a warning.',
      remedy: 'Nothing; leave `helper:` out where an older helper is named.',
    },
    'doctor/no-seccomp': {
      meaning: 'The kernel filters no system calls for the helper.',
      cause: 'It was built without CONFIG_SECCOMP_FILTER, or a container forbids seccomp(2).',
      remedy:
        'Run another kernel, or allow the call. Without it only the capabilities of threads are dropped.',
    },
    'doctor/no-landlock': {
      meaning: 'The kernel has no Landlock, which limits the files and ports that a thread of a run reaches.',
      cause:
        'It is older than 5.13, was built without CONFIG_SECURITY_LANDLOCK, or `lsm=` leaves landlock out.',
      remedy: 'Run another kernel, or boot with landlock in `lsm=`. Seccomp and dropped capabilities stay.',
    },
    'doctor/system': {
      meaning: 'The host does not run Linux.',
      cause: 'Another system was named as a side.',
      remedy: 'Use a Linux host: VFIO exists only there.',
    },
    'doctor/kernel': {
      meaning: 'Which kernel the host runs, and that it is new enough.',
      cause: 'The version was compared with what the profile needs.',
      remedy: 'Nothing.',
    },
    'doctor/kernel-old': {
      meaning: 'The kernel is too old for VFIO migration, or for some trackers.',
      cause: 'Migration came with Linux 5.18, pre-copy and DMA logs with 6.2, IOMMU dirty bits with 6.7.',
      remedy: 'Run a newer kernel.',
    },
    'doctor/options': {
      meaning: 'The kernel options that VFIO needs and the kernel has.',
      cause: 'The configuration or the modules of the kernel were read.',
      remedy: 'Nothing.',
    },
    'doctor/modules': {
      meaning: 'Kernel modules are installed but not loaded.',
      cause: 'Nothing has asked for them since boot.',
      remedy: 'Run `modprobe` with the names listed, as root.',
    },
    'doctor/option-vfio': {
      meaning: 'The kernel has no VFIO: no device can be opened.',
      cause: 'It was built without CONFIG_VFIO, or its modules are in a package that is not installed.',
      remedy: 'Run a kernel built with the option, or install the package of its modules.',
    },
    'doctor/option-vfio-pci': {
      meaning: 'The kernel cannot bind PCI functions to VFIO.',
      cause: 'It was built without CONFIG_VFIO_PCI, or its modules are not installed.',
      remedy: 'Run a kernel built with the option, or install the package of its modules.',
    },
    'doctor/option-vfio-iommu-type1': {
      meaning: 'The kernel has no type1 backend.',
      cause: 'It was built without CONFIG_VFIO_IOMMU_TYPE1, or its modules are not installed.',
      remedy: 'Run a kernel built with the option, or use iommufd.',
    },
    'doctor/option-vfio-mdev': {
      meaning: 'The kernel has no mdevs.',
      cause: 'It was built without a driver that selects CONFIG_VFIO_MDEV.',
      remedy: 'Run a kernel that has the driver of your device.',
    },
    'doctor/option-iommufd': {
      meaning: 'The kernel has no iommufd backend.',
      cause: 'It was built without CONFIG_IOMMUFD, or its modules are not installed.',
      remedy: 'Run a kernel built with the option, or use type1.',
    },
    'doctor/option-vfio-device-cdev': {
      meaning: 'Devices have no node that iommufd can open.',
      cause: 'The kernel was built without CONFIG_VFIO_DEVICE_CDEV.',
      remedy: 'Run a kernel built with the option, or use type1.',
    },
    'doctor/vfio-node': {
      meaning: 'Whether /dev/vfio/vfio is there; without it there is no type1 backend.',
      cause: 'When it is missing, the module vfio is not loaded.',
      remedy: 'Run `modprobe vfio`, or a kernel that has it.',
    },
    'doctor/vfio-closed': {
      meaning: 'This user may not open /dev/vfio/vfio.',
      cause: 'The helper is not root, and the node is closed to its user.',
      remedy: 'Run the helper as root, or open the node to the user by a udev rule.',
    },
    'doctor/iommufd-node': {
      meaning: 'Whether /dev/iommu is there; without it there is no iommufd backend.',
      cause: 'When it is missing, the module iommufd is not loaded.',
      remedy: 'Run `modprobe iommufd`, or a kernel that has it.',
    },
    'doctor/iommufd-closed': {
      meaning: 'This user may not open /dev/iommu.',
      cause: 'The helper is not root, and the node is closed to its user.',
      remedy: 'Run the helper as root, or open the node to the user by a udev rule.',
    },
    'doctor/devices': {
      meaning: 'How many devices are bound to a VFIO driver.',
      cause: 'When there are none, devices are still on their host drivers.',
      remedy: '`ferry devices --all` lists the functions and what each needs.',
    },
    'doctor/iommu': {
      meaning: 'Whether an IOMMU is in use; without one PCI functions cannot move.',
      cause: 'When there is none, it is off in the firmware or the kernel.',
      remedy: 'Turn VT-d, AMD-Vi or the SMMU on in the firmware, and in the kernel (intel_iommu=on).',
    },
    'doctor/memlock': {
      meaning: 'How much memory may be locked, against what mapping will pin.',
      cause: 'The limit of the user or of the service is low.',
      remedy: 'Raise it (`LimitMEMLOCK=`, limits.conf), or run as root with CAP_IPC_LOCK.',
    },
    'doctor/memory': {
      meaning: 'How much memory is available, against what the workload needs.',
      cause: 'When it fails, other programs use the memory.',
      remedy: 'Free memory there, or move to another host.',
    },
    'doctor/huge-pages': {
      meaning: 'How many huge pages are free, against what the workload needs.',
      cause: 'When it fails, too few pages were reserved.',
      remedy: 'Write the number to nr_hugepages as root, best right after boot.',
    },
    'doctor/state': {
      meaning: 'Whether the state folder can be written, and how much room it has.',
      cause: 'When it fails, the folder is missing or belongs to another user.',
      remedy: 'Create it for that user, or name another with `stateDir`.',
    },
    'doctor/state-open': {
      meaning: 'Other users may write to the state folder and could forge records of a run.',
      cause: 'The folder has another owner, or is writable for group or others.',
      remedy: 'Run `chown` and `chmod go-w` on it, or name another with `stateDir`.',
    },
    'doctor/disk-full': {
      meaning: 'The file system of the state folder is almost full.',
      cause: 'Logs, journals or other files fill it.',
      remedy: 'Make room: a run does not start without its journal.',
    },
    'doctor/clock': {
      meaning: 'Whether the clocks of both hosts agree.',
      cause: 'When they do not, one of them is not set by NTP.',
      remedy: 'Set both by NTP; otherwise times in records and logs do not agree.',
    },
    'doctor/round-trip': {
      meaning: 'How long a line to the helper and back takes.',
      cause: 'It was measured over the control connection.',
      remedy: 'Nothing.',
    },
    'doctor/interface': {
      meaning: 'Whether the network interface that the profile names is there and up.',
      cause: 'When it fails, the name is misspelled or the link is down.',
      remedy: 'Check `ip -brief link` on that host.',
    },
    'doctor/route': {
      meaning: 'Which way the source takes to the address of the data.',
      cause: 'The source has no route there, or takes an address the profile does not name.',
      remedy: 'Check `destination.listen` and the routes of the source (`ip route get`).',
    },
    'doctor/data': {
      meaning: 'Data gets from source to destination, connected as in a run.',
      cause: 'A test connection was made and closed.',
      remedy: 'Nothing; a failure carries a `link/` or `wire/` code.',
    },
    'doctor/build-differs': {
      meaning: 'The helpers of the two hosts are of different builds.',
      cause: 'A helper was installed by hand on one of them and not replaced.',
      remedy: 'Install the same release on both, or let Ferry copy its own helper.',
    },
    'doctor/clocks': {
      meaning: 'Whether the clocks of the two sides agree.',
      cause: 'When they do not, one of them is not set by NTP.',
      remedy: 'Set both by NTP; otherwise times in records and logs do not agree.',
    },
  },
}
