// SPDX-License-Identifier: GPL-2.0-only
/*
 * ferry_dirty: functions that migrate, behind an IOMMU with dirty bits. The functions are on a bus of this module's own
 * (dirty_bus.c), so is the IOMMU (dirty_iommu.c); this is their driver, a variant of vfio-pci. Bind it as any other:
 *
 *	echo ferry_dirty >/sys/bus/pci/devices/00fe:00:00.0/driver_override
 *	echo 00fe:00:00.0 >/sys/bus/pci/drivers_probe
 *
 * Region 0 is the lab's register window, though the function has no BAR: only VFIO looks at it.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "dirty.h"
#include "ferry_lab.h"

struct dirty_function {
	struct vfio_pci_core_device core;
	struct lab_device lab;
};

static struct lab_device *lab_of(struct vfio_device *vdev)
{
	return &container_of(vdev, struct dirty_function, core.vdev)->lab;
}

static int function_write(struct lab_device *lab, u64 iova, const u8 *slot, bool untold)
{
	struct dirty_function *function = container_of(lab, struct dirty_function, lab);

	return dirty_iommu_write(&function->core.pdev->dev, iova, slot, LAB_SLOT_BYTES, untold);
}

static const struct lab_ops function_lab_ops = {
	.write = function_write,
};

static struct file *function_set_state(struct vfio_device *vdev, enum vfio_device_mig_state state)
{
	return lab_set_state(lab_of(vdev), state);
}

static int function_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	return lab_get_state(lab_of(vdev), state);
}

static int function_data_size(struct vfio_device *vdev, unsigned long *bytes)
{
	return lab_get_data_size(lab_of(vdev), bytes);
}

static const struct vfio_migration_ops function_migration_ops = {
	.migration_set_state = function_set_state,
	.migration_get_state = function_get_state,
	.migration_get_data_size = function_data_size,
};

static int function_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	return lab_log_start(lab_of(vdev), ranges, nnodes, page_size);
}

static int function_log_stop(struct vfio_device *vdev)
{
	return lab_log_stop(lab_of(vdev));
}

static int function_log_report(struct vfio_device *vdev, unsigned long iova, unsigned long length,
			       struct iova_bitmap *dirty)
{
	return lab_log_report(lab_of(vdev), iova, length, dirty);
}

static const struct vfio_log_ops function_log_ops = {
	.log_start = function_log_start,
	.log_stop = function_log_stop,
	.log_read_and_clear = function_log_report,
};

static int function_init(struct vfio_device *vdev)
{
	struct dirty_function *function = container_of(vdev, struct dirty_function, core.vdev);
	int ret;

	ret = vfio_pci_core_init_dev(vdev);
	if (ret)
		return ret;
	ret = lab_init(&function->lab, vdev, LAB_KIND_DIRTY, pci_name(function->core.pdev), &function_lab_ops);
	if (ret) {
		vfio_pci_core_release_dev(vdev);
		return ret;
	}
	vdev->mig_ops = &function_migration_ops;
	if (function->core.pdev->device == DIRTY_DEVICE_ID_LOGGED)
		vdev->log_ops = &function_log_ops;
	return 0;
}

static void function_release(struct vfio_device *vdev)
{
	lab_destroy(lab_of(vdev));
	vfio_pci_core_release_dev(vdev);
}

static int function_open(struct vfio_device *vdev)
{
	struct dirty_function *function = container_of(vdev, struct dirty_function, core.vdev);
	int ret;

	ret = vfio_pci_core_enable(&function->core);
	if (ret)
		return ret;
	lab_open(&function->lab);
	vfio_pci_core_finish_enable(&function->core);
	return 0;
}

static void function_close(struct vfio_device *vdev)
{
	lab_close(lab_of(vdev));
	vfio_pci_core_close_device(vdev);
}

/* The PCI core knows no way to reset a function without capabilities; this driver does. */
static long function_info(struct vfio_device *vdev, unsigned long arg)
{
	u32 __user *flags = (u32 __user *)(arg + offsetof(struct vfio_device_info, flags));
	long ret = vfio_pci_core_ioctl(vdev, VFIO_DEVICE_GET_INFO, arg);
	u32 value;

	if (ret)
		return ret;
	if (get_user(value, flags) || put_user(value | VFIO_DEVICE_FLAGS_RESET, flags))
		return -EFAULT;
	return 0;
}

static long function_region_info(struct vfio_device *vdev, unsigned long arg)
{
	const size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, (void __user *)arg, minsz))
		return -EFAULT;
	if (info.index != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO, arg);
	if (info.argsz < minsz)
		return -EINVAL;
	info.argsz = minsz;
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info.cap_offset = 0;
	info.size = LAB_BAR_BYTES;
	info.offset = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX);
	return copy_to_user((void __user *)arg, &info, minsz) ? -EFAULT : 0;
}

static long function_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return function_info(vdev, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return function_region_info(vdev, arg);
	case VFIO_DEVICE_RESET:
		lab_reset(lab_of(vdev));
		return 0;
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

static bool is_registers(loff_t pos)
{
	return VFIO_PCI_OFFSET_TO_INDEX(pos) == VFIO_PCI_BAR0_REGION_INDEX;
}

static ssize_t function_region_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos)
{
	ssize_t done;

	if (!is_registers(*ppos))
		return vfio_pci_core_read(vdev, buf, count, ppos);
	done = lab_bar_read(lab_of(vdev), buf, count, *ppos & VFIO_PCI_OFFSET_MASK);
	if (done > 0)
		*ppos += done;
	return done;
}

static ssize_t function_region_write(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *ppos)
{
	ssize_t done;

	if (!is_registers(*ppos))
		return vfio_pci_core_write(vdev, buf, count, ppos);
	done = lab_bar_write(lab_of(vdev), buf, count, *ppos & VFIO_PCI_OFFSET_MASK);
	if (done > 0)
		*ppos += done;
	return done;
}

static const struct vfio_device_ops function_ops = {
	.name = "ferry-dirty",
	.init = function_init,
	.release = function_release,
	.open_device = function_open,
	.close_device = function_close,
	.ioctl = function_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = function_region_read,
	.write = function_region_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int function_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct dirty_function *function;
	int ret;

	/* driver_override binds any function to any driver, and no other function is behind our IOMMU. */
	if (!dirty_bus_owns(pdev))
		return -ENODEV;
	function = vfio_alloc_device(dirty_function, core.vdev, &pdev->dev, &function_ops);
	if (IS_ERR(function))
		return PTR_ERR(function);
	pci_set_drvdata(pdev, &function->core);
	ret = vfio_pci_core_register_device(&function->core);
	if (ret)
		vfio_put_device(&function->core.vdev);
	return ret;
}

static void function_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static const struct pci_device_id function_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(DIRTY_VENDOR_ID, DIRTY_DEVICE_ID) },
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(DIRTY_VENDOR_ID, DIRTY_DEVICE_ID_LOGGED) },
	{}
};
MODULE_DEVICE_TABLE(pci, function_ids);

static struct pci_driver function_driver = {
	.name = "ferry_dirty",
	.id_table = function_ids,
	.probe = function_probe,
	.remove = function_remove,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};

static int __init ferry_dirty_init(void)
{
	int ret;

	ret = dirty_iommu_add();
	if (ret)
		return ret;
	ret = pci_register_driver(&function_driver);
	if (ret)
		goto err_iommu;
	ret = dirty_bus_add();
	if (ret)
		goto err_driver;
	return 0;

err_driver:
	pci_unregister_driver(&function_driver);
err_iommu:
	dirty_iommu_remove();
	return ret;
}

static void __exit ferry_dirty_exit(void)
{
	dirty_bus_remove();
	pci_unregister_driver(&function_driver);
	dirty_iommu_remove();
}

module_init(ferry_dirty_init);
module_exit(ferry_dirty_exit);

MODULE_DESCRIPTION("Lab functions that migrate, behind a software IOMMU with dirty bits");
MODULE_LICENSE("GPL");
