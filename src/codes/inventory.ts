import { REASON_CODES, type ReasonCode } from '../inventory/reasons.js'
import { summaries, withMeanings, type Advice, type Family } from './code.js'

const ADVICE: Readonly<Record<ReasonCode, Advice>> = {
  'no-iommu': {
    cause: 'VT-d, AMD-Vi or the SMMU is off in the firmware or on the kernel command line.',
    remedy: 'Turn it on in the firmware, and boot with intel_iommu=on or what the platform needs.',
  },
  'no-group': {
    cause: 'The IOMMU does not cover the slot of the device, or the driver of an mdev failed to register it.',
    remedy: 'Use another slot or device. For an mdev, read the kernel log, then remove and create it again.',
  },
  'noiommu-group': {
    cause: 'The vfio module was loaded with enable_unsafe_noiommu_mode=1.',
    remedy: 'Turn the IOMMU on, load vfio without that option, and bind the device again.',
  },
  'group-not-viable': {
    cause: 'Another function of the same card or bridge is still bound to its host driver.',
    remedy: 'Unbind it, or bind it to vfio-pci or pci-stub. `ferry devices` names it.',
  },
  'not-bound': {
    cause: 'The device was never bound, or its driver was unloaded.',
    remedy: 'Bind it to its migration driver (driverctl, or driver_override in sysfs).',
  },
  'wrong-driver': {
    cause: 'The host itself uses the device, for example as a network card.',
    remedy: 'Bind it to its VFIO migration driver.',
  },
  'generic-driver': {
    cause: 'The device was bound to vfio-pci by its id, and not to the driver of its vendor.',
    remedy: 'Bind it to the vendor driver, such as mlx5_vfio_pci for an mlx5 virtual function.',
  },
  'driver-without-migration': {
    cause: 'Driver or firmware is too old, or migration is off for this function.',
    remedy:
      'Update driver and firmware and turn migration on for the function; otherwise the device cannot move.',
  },
  'no-stop-copy': {
    cause: 'The driver does not follow the VFIO specification.',
    remedy: 'Update the driver.',
  },
  'in-error': {
    cause: 'An earlier migration failed, or the device itself failed.',
    remedy: 'Stop what uses the device and reset it (its reset file in sysfs). Its state is lost.',
  },
  'no-node': {
    cause: 'The kernel has neither VFIO_GROUP nor VFIO_DEVICE_CDEV, or /dev/vfio is not populated.',
    remedy: 'Check that udev or devtmpfs makes /dev/vfio.',
  },
  'no-cdev': {
    cause: 'The kernel was built without CONFIG_VFIO_DEVICE_CDEV.',
    remedy: 'Run a kernel that has it, or load vfio_iommu_type1 to use type1.',
  },
  'no-group-node': {
    cause: 'The kernel was built without CONFIG_VFIO_GROUP, or /dev/vfio is not populated.',
    remedy: 'Run a kernel that has it, or use iommufd.',
  },
  'no-backend': {
    cause: 'Neither vfio_iommu_type1 nor iommufd is loaded.',
    remedy: 'Load one: `modprobe vfio_iommu_type1` or `modprobe iommufd`.',
  },
  busy: {
    cause: 'A virtual machine, a DPDK program or another Ferry has the device open.',
    remedy: 'Stop the process that uses it, or let that process migrate it.',
  },
  'no-permission': {
    cause: 'Ferry runs as an ordinary user.',
    remedy: 'Run as root, or give this user the device node by a udev rule.',
  },
  'not-probed': {
    cause: '`--no-probe` was given, or the helper is not root.',
    remedy: 'Run without `--no-probe`, as root.',
  },
  'probe-failed': {
    cause: 'The kernel or the driver refused to open the device.',
    remedy: 'Read the errno in the message and the kernel log of that host.',
  },
}

export const INVENTORY_FAMILY: Family = {
  name: 'inventory',
  title: 'Devices',
  where: '`ferry devices`, and the blockers of `ferry plan`',
  codes: {
    'devices/no-such-device': {
      meaning: 'The host has no device of this name.',
      cause: 'The address or UUID is misspelled, or the device was removed.',
      remedy: '`ferry devices --all` lists what there is.',
    },
    ...withMeanings(summaries(REASON_CODES), ADVICE),
  },
}
