// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vfio-pci variant driver for QEMU's `edu` function (1234:11e8). The DMA is the function's own, through the
 * emulated VT-d: what its user has not mapped it cannot write. Migration and the DMA log are the lab core's, kept in
 * software, as for a function that has neither.
 *
 * BAR 0 as VFIO shows it is the lab's register window; the function's own registers stay with this driver.
 */
#include <linux/cleanup.h>
#include <linux/iommufd.h>
#include <linux/module.h>

#include "edu.h"

static struct ferry_edu *edu_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct ferry_edu, core.vdev);
}

/* --- migration and the log are the core's --- */

static struct file *edu_set_state(struct vfio_device *vdev, enum vfio_device_mig_state state)
{
	return lab_set_state(&edu_of(vdev)->lab, state);
}

static int edu_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	return lab_get_state(&edu_of(vdev)->lab, state);
}

static int edu_get_data_size(struct vfio_device *vdev, unsigned long *bytes)
{
	return lab_get_data_size(&edu_of(vdev)->lab, bytes);
}

static const struct vfio_migration_ops edu_migration_ops = {
	.migration_set_state = edu_set_state,
	.migration_get_state = edu_get_state,
	.migration_get_data_size = edu_get_data_size,
};

static int edu_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	return lab_log_start(&edu_of(vdev)->lab, ranges, nnodes, page_size);
}

static int edu_log_stop(struct vfio_device *vdev)
{
	return lab_log_stop(&edu_of(vdev)->lab);
}

static int edu_log_report(struct vfio_device *vdev, unsigned long iova, unsigned long length,
				struct iova_bitmap *dirty)
{
	return lab_log_report(&edu_of(vdev)->lab, iova, length, dirty);
}

static const struct vfio_log_ops edu_log_ops = {
	.log_start = edu_log_start,
	.log_stop = edu_log_stop,
	.log_read_and_clear = edu_log_report,
};

/* --- the device --- */

static int edu_open(struct vfio_device *vdev)
{
	struct ferry_edu *edu = edu_of(vdev);
	int ret;

	ret = vfio_pci_core_enable(&edu->core);
	if (ret)
		return ret;
	ret = vfio_pci_core_setup_barmap(&edu->core, 0);
	if (ret) {
		vfio_pci_core_disable(&edu->core);
		return ret;
	}
	pci_set_master(edu->core.pdev);
	edu->regs = edu->core.barmap[0];
	vfio_pci_core_finish_enable(&edu->core);
	lab_open(&edu->lab);
	return 0;
}

static void edu_close(struct vfio_device *vdev)
{
	struct ferry_edu *edu = edu_of(vdev);

	lab_close(&edu->lab);
	edu->regs = NULL;
	vfio_pci_core_close_device(vdev);
}

static ssize_t edu_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos)
{
	ssize_t done;

	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_read(vdev, buf, count, ppos);
	done = lab_bar_read(&edu_of(vdev)->lab, buf, count, *ppos & VFIO_PCI_OFFSET_MASK);
	if (done > 0)
		*ppos += done;
	return done;
}

static ssize_t edu_store(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *ppos)
{
	ssize_t done;

	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_write(vdev, buf, count, ppos);
	done = lab_bar_write(&edu_of(vdev)->lab, buf, count, *ppos & VFIO_PCI_OFFSET_MASK);
	if (done > 0)
		*ppos += done;
	return done;
}

static int edu_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff >> (VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT) == VFIO_PCI_BAR0_REGION_INDEX)
		return -EINVAL;
	return vfio_pci_core_mmap(vdev, vma);
}

static long edu_region_info(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, (void __user *)arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	if (info.index != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info.cap_offset = 0;
	info.size = LAB_BAR_BYTES;
	info.offset = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX);
	return copy_to_user((void __user *)arg, &info, minsz) ? -EFAULT : 0;
}

/* The function has no reset that the PCI core knows, so vfio-pci offers none. */
static long edu_info(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct vfio_device_info __user *info = (void __user *)arg;
	long ret = vfio_pci_core_ioctl(vdev, cmd, arg);
	u32 flags;

	if (ret)
		return ret;
	if (get_user(flags, &info->flags) || put_user(flags | VFIO_DEVICE_FLAGS_RESET, &info->flags))
		return -EFAULT;
	return 0;
}

static long edu_reset(struct vfio_device *vdev)
{
	struct ferry_edu *edu = edu_of(vdev);

	lab_reset(&edu->lab);
	pci_set_master(edu->core.pdev);		/* as at open: a DMA that did not end has cleared it */
	return 0;
}

/* An eventfd that writes to BAR 0 would write to the function's own registers. */
static long edu_ioeventfd(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_ioeventfd, fd);
	struct vfio_device_ioeventfd request;

	if (copy_from_user(&request, (void __user *)arg, minsz))
		return -EFAULT;
	if (VFIO_PCI_OFFSET_TO_INDEX(request.offset) == VFIO_PCI_BAR0_REGION_INDEX)
		return -EINVAL;
	return vfio_pci_core_ioctl(vdev, cmd, arg);
}

static long edu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return edu_info(vdev, cmd, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return edu_region_info(vdev, cmd, arg);
	case VFIO_DEVICE_RESET:
		return edu_reset(vdev);
	case VFIO_DEVICE_IOEVENTFD:
		return edu_ioeventfd(vdev, cmd, arg);
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

/* --- the domain changes only between two writes --- */

static void edu_unbind_iommufd(struct vfio_device *vdev)
{
	guard(mutex)(&edu_of(vdev)->dma_lock);
	vfio_iommufd_physical_unbind(vdev);
}

static int edu_attach_ioas(struct vfio_device *vdev, u32 *pt_id)
{
	guard(mutex)(&edu_of(vdev)->dma_lock);
	return vfio_iommufd_physical_attach_ioas(vdev, pt_id);
}

static void edu_detach_ioas(struct vfio_device *vdev)
{
	guard(mutex)(&edu_of(vdev)->dma_lock);
	vfio_iommufd_physical_detach_ioas(vdev);
}

static int edu_init(struct vfio_device *vdev)
{
	struct ferry_edu *edu = edu_of(vdev);

	mutex_init(&edu->dma_lock);
	edu->stage = (u8 *)get_zeroed_page(GFP_KERNEL);
	if (!edu->stage)
		return -ENOMEM;
	vdev->mig_ops = &edu_migration_ops;
	vdev->log_ops = &edu_log_ops;
	return vfio_pci_core_init_dev(vdev);
}

static void edu_release(struct vfio_device *vdev)
{
	free_page((unsigned long)edu_of(vdev)->stage);
	vfio_pci_core_release_dev(vdev);
}

static const struct vfio_device_ops edu_ops = {
	.name = KBUILD_MODNAME,
	.init = edu_init,
	.release = edu_release,
	.open_device = edu_open,
	.close_device = edu_close,
	.ioctl = edu_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = edu_read,
	.write = edu_store,
	.mmap = edu_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = edu_unbind_iommufd,
	.attach_ioas = edu_attach_ioas,
	.detach_ioas = edu_detach_ioas,
};

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ferry_edu *edu;
	int ret;

	edu = vfio_alloc_device(ferry_edu, core.vdev, &pdev->dev, &edu_ops);
	if (IS_ERR(edu))
		return PTR_ERR(edu);
	pci_set_drvdata(pdev, &edu->core);
	ret = edu_measure(pdev, &edu->last);
	if (ret) {
		pci_err(pdev, "cannot measure its DMA: %pe\n", ERR_PTR(ret));
		goto put;
	}
	ret = lab_init(&edu->lab, &edu->core.vdev, LAB_KIND_EDU, pci_name(pdev), &edu_lab_ops);
	if (ret)
		goto put;
	ret = vfio_pci_core_register_device(&edu->core);
	if (ret)
		goto destroy;
	pci_info(pdev, "DMA reaches %#llx\n", edu->last);
	return 0;
destroy:
	lab_destroy(&edu->lab);
put:
	vfio_put_device(&edu->core.vdev);
	return ret;
}

static void edu_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);
	struct ferry_edu *edu = container_of(core, struct ferry_edu, core);

	vfio_pci_core_unregister_device(core);
	lab_destroy(&edu->lab);
	vfio_put_device(&core->vdev);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
	.err_handler = &vfio_pci_core_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(edu_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO driver with migration and a DMA log for QEMU's edu function");
