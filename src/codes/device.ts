import type { Family } from './code.js'

export const DEVICE_FAMILY: Family = {
  name: 'device',
  title: 'VFIO devices',
  where: '`ferry devices`, `ferry hold` and runs, whenever a helper opens a device or changes its state',
  codes: {
    'device/busy': {
      meaning: 'Another process has the device open.',
      cause: 'A virtual machine, a DPDK program or another helper uses it.',
      remedy: 'Stop that process, or let it migrate the device.',
    },
    'device/not-found': {
      meaning: 'The host has no such device.',
      cause: 'It was removed, or its address is misspelled.',
      remedy: 'Run `ferry devices` on that host.',
    },
    'device/no-node': {
      meaning: 'The device has no node to open.',
      cause: 'No VFIO driver is bound to it, or udev has not made the node.',
      remedy: 'Bind the device to its VFIO driver (driverctl, or driver_override in sysfs).',
    },
    'device/no-cdev': {
      meaning: 'The device has no node for iommufd.',
      cause: 'The kernel lacks CONFIG_VFIO_DEVICE_CDEV, or no VFIO driver is bound.',
      remedy: 'Use a kernel that has it, or the backend type1.',
    },
    'device/no-permission': {
      meaning: 'This user may not open the device.',
      cause: 'The helper is not root.',
      remedy: 'Run as root, or give the user the node by a udev rule.',
    },
    'device/open-failed': {
      meaning: 'The device cannot be opened.',
      cause: 'The driver or the kernel refused; the errno says why.',
      remedy: 'Read the errno and the kernel log of that host.',
    },
    'device/vf-token': {
      meaning: 'The virtual function asks for a token that only the user of its physical function knows.',
      cause: 'The physical function is bound to vfio-pci with SR-IOV.',
      remedy: 'Bind the physical function to the driver of its vendor.',
    },
    'device/not-migratable': {
      meaning: 'The driver of the device offers no migration, or no STOP_COPY.',
      cause: 'A generic driver is bound, or the firmware has migration off.',
      remedy: 'Bind a VFIO driver that can migrate it, such as mlx5_vfio_pci.',
    },
    'device/p2p': {
      meaning: 'The device cannot be stopped together with the others.',
      cause: 'Its driver has no P2P state.',
      remedy: 'Move it in a run of its own.',
    },
    'device/get-failed': {
      meaning: 'The state of the device cannot be read.',
      cause: 'The driver reported an error.',
      remedy: 'Read the errno and the kernel log; reset the device if it stays so.',
    },
    'device/unknown-state': {
      meaning: 'The driver reports a state that this helper does not know.',
      cause: 'The kernel is newer than the helper.',
      remedy: 'Use a newer release of Ferry.',
    },
    'device/set-failed': {
      meaning: 'The driver refused to change the state of the device.',
      cause: 'The driver or the device failed; the message has the errno and the state it is in.',
      remedy: 'Read the kernel log. Before COMMIT Ferry rolls back by itself.',
    },
    'device/state-mismatch': {
      meaning: 'The driver reported success, but the device is in another state.',
      cause: 'The driver is faulty, or the device failed at once.',
      remedy: 'Read the kernel log and report it to the vendor of the driver.',
    },
    'device/illegal-transition': {
      meaning: 'The change of state asked for is one that Ferry never makes.',
      cause: 'A fault in Ferry, or the device changed its state by itself.',
      remedy: 'Look at the state in the message; report it.',
    },
    'device/in-error': {
      meaning: 'The device is in ERROR, and only a reset ends that.',
      cause: 'An earlier change of state failed.',
      remedy: 'Stop what uses the device and reset it. Its state is lost.',
    },
    'device/not-running': {
      meaning: 'The device does not run, and Ferry has not stopped it.',
      cause: 'Another program holds the device and has stopped it, or it failed.',
      remedy: 'Start it through the program that stopped it, or reset it. Ferry leaves it as it is.',
    },
    'device/state-changed': {
      meaning: 'The device is in another state than the one Ferry left it in.',
      cause: 'Another program that holds the device has changed its state during the run.',
      remedy: 'Find that program and stop it from using the device during a run. The run is undone.',
    },
    'device/stale-state': {
      meaning: 'The device was not RUNNING when it was opened, and did not become so.',
      cause: 'An earlier session left it so.',
      remedy: 'Reset the device.',
    },
    'device/state-lost': {
      meaning: 'The device runs again, but only after a reset, and its state is lost.',
      cause: 'The driver could not go back to RUNNING.',
      remedy: 'Restart what uses the device on the source.',
    },
    'device/needs-person': {
      meaning: 'The device could not be brought back to RUNNING.',
      cause: 'Both the change of state and the reset failed.',
      remedy: 'Reset the device through its driver or the bus, or restart what uses it.',
    },
    'device/reset-failed': {
      meaning: 'The device could not be reset.',
      cause: 'The driver or the hardware refused.',
      remedy: 'Read the kernel log; reset it through the bus or restart the host.',
    },
    'device/precopy-info': {
      meaning: 'The driver did not say how much state is left.',
      cause: 'The driver reported an error.',
      remedy: 'Read the errno and the kernel log.',
    },
    'device/stream-read': {
      meaning: 'The state of the device cannot be read from its driver.',
      cause: 'The driver or the device failed.',
      remedy: 'Read the errno and the kernel log; the run is undone.',
    },
    'device/writes-after-stop': {
      meaning: 'The device wrote memory after it had reported STOP_COPY.',
      cause: 'Its driver or firmware does not stop its DMA.',
      remedy:
        'The run is undone, and the source is running. Update driver and firmware, or report it to the vendor.',
    },
    'device/stream-write': {
      meaning: 'The destination device did not take the state.',
      cause: 'Driver or firmware of the two sides do not match, or the device failed.',
      remedy: 'Bring both to the same level, and read the kernel log of the destination.',
    },
    'device/stream-lost': {
      meaning: 'The driver changed its state, but gave no stream to move the state through.',
      cause: 'The limit of open files is reached, or another program has put the device into this state.',
      remedy:
        'Raise the limit (`ulimit -n`); see that no other program uses the device, and reset the device if the message asks for it.',
    },
    'device/stream-empty': {
      meaning: 'The driver ended its state stream without giving any state.',
      cause: 'Another program took the state, or the driver is faulty.',
      remedy: 'See that no other program uses the device; report it to the vendor of the driver.',
    },
    'device/stream-mismatch': {
      meaning: 'The destination received another amount of state than the source sent.',
      cause: 'Data was lost between the sides or in a driver.',
      remedy: 'Run again; report it if it stays so.',
    },
    'device/stream-endless': {
      meaning: 'The source device gives far more state than it announced, or more than `migration.maxState`.',
      cause: 'The driver is faulty, or cannot know how long its state is.',
      remedy: 'Raise `migration.maxState` if the state is that long, else update the driver.',
    },
    'device/stream-stalled': {
      meaning: 'The source device neither gives more state nor ends it.',
      cause: 'The driver or the device hangs.',
      remedy: 'Read the kernel log; the run is undone.',
    },
  },
}
