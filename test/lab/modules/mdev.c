// SPDX-License-Identifier: GPL-2.0-only
/*
 * ferry_mdev: mdevs that write to memory. Types: `plain`, which leaves it to type1 to know what was written, and
 * `logged`, with a DMA log of its own, for who has no type1 container.
 *
 *	echo UUID > /sys/class/mdev_bus/ferry_mdev/mdev_supported_types/ferry_mdev-plain/create
 */
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "mdev.h"

#define INSTANCES	16	/* of each type */

#define REGION_SHIFT	40
#define REGION_OFFSET(index)	((u64)(index) << REGION_SHIFT)
#define REGION_MASK	(REGION_OFFSET(1) - 1)

struct ferry_mdev_type {
	struct mdev_type type;
	bool logged;
	atomic_t available;
};

static struct ferry_mdev_type types[] = {
	{ .type = { .sysfs_name = "plain", .pretty_name = "DMA, no log" }, .available = ATOMIC_INIT(INSTANCES) },
	{ .type = { .sysfs_name = "logged", .pretty_name = "DMA with a log" }, .logged = true,
	  .available = ATOMIC_INIT(INSTANCES) },
};
static struct mdev_type *type_list[] = { &types[0].type, &types[1].type };

static struct ferry_mdev *mdev_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct ferry_mdev, vdev);
}

static struct ferry_mdev_type *type_of(struct vfio_device *vdev)
{
	return container_of(to_mdev_device(vdev->dev)->type, struct ferry_mdev_type, type);
}

/* --- migration and log --- */

static struct file *ferry_mdev_set_state(struct vfio_device *vdev, enum vfio_device_mig_state state)
{
	return lab_set_state(&mdev_of(vdev)->lab, state);
}

static int ferry_mdev_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	return lab_get_state(&mdev_of(vdev)->lab, state);
}

static int ferry_mdev_get_data_size(struct vfio_device *vdev, unsigned long *bytes)
{
	return lab_get_data_size(&mdev_of(vdev)->lab, bytes);
}

static const struct vfio_migration_ops migration_ops = {
	.migration_set_state = ferry_mdev_set_state,
	.migration_get_state = ferry_mdev_get_state,
	.migration_get_data_size = ferry_mdev_get_data_size,
};

static int ferry_mdev_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	return lab_log_start(&mdev_of(vdev)->lab, ranges, nnodes, page_size);
}

static int ferry_mdev_log_stop(struct vfio_device *vdev)
{
	return lab_log_stop(&mdev_of(vdev)->lab);
}

static int ferry_mdev_log_report(struct vfio_device *vdev, unsigned long iova, unsigned long length,
				 struct iova_bitmap *dirty)
{
	return lab_log_report(&mdev_of(vdev)->lab, iova, length, dirty);
}

static const struct vfio_log_ops log_ops = {
	.log_start = ferry_mdev_log_start,
	.log_stop = ferry_mdev_log_stop,
	.log_read_and_clear = ferry_mdev_log_report,
};

static const struct lab_ops lab_ops = {
	.write = ferry_mdev_write,
};

/* --- the device --- */

static int ferry_mdev_open(struct vfio_device *vdev)
{
	lab_open(&mdev_of(vdev)->lab);
	return 0;
}

static void ferry_mdev_close(struct vfio_device *vdev)
{
	struct ferry_mdev *mdev = mdev_of(vdev);

	lab_close(&mdev->lab);
	ferry_mdev_unpin_all(mdev);
}

static ssize_t ferry_mdev_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *pos)
{
	struct ferry_mdev *mdev = mdev_of(vdev);
	u64 offset = *pos & REGION_MASK;
	ssize_t done = -EINVAL;

	switch (*pos >> REGION_SHIFT) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		done = lab_bar_read(&mdev->lab, buf, count, offset);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		if (offset > sizeof(mdev->config))
			break;
		done = min(count, sizeof(mdev->config) - (size_t)offset);
		if (copy_to_user(buf, mdev->config + offset, done))
			done = -EFAULT;
		break;
	}
	if (done > 0)
		*pos += done;
	return done;
}

static ssize_t ferry_mdev_write_region(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *pos)
{
	u64 offset = *pos & REGION_MASK;
	ssize_t done = -EINVAL;

	switch (*pos >> REGION_SHIFT) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		done = lab_bar_write(&mdev_of(vdev)->lab, buf, count, offset);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		/* No bit of it can be written, as with a function that has nothing to set: that is no error. */
		if (offset <= sizeof_field(struct ferry_mdev, config))
			done = min(count, sizeof_field(struct ferry_mdev, config) - (size_t)offset);
		break;
	}
	if (done > 0)
		*pos += done;
	return done;
}

static int get_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static int get_region_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.size = 0;
	if (info.index == VFIO_PCI_BAR0_REGION_INDEX)
		info.size = LAB_BAR_BYTES;
	else if (info.index == VFIO_PCI_CONFIG_REGION_INDEX)
		info.size = sizeof_field(struct ferry_mdev, config);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info.offset = REGION_OFFSET(info.index);
	info.cap_offset = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

/* It has none: its only news is in its registers. */
static int get_irq_info(void __user *arg)
{
	const size_t size = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.flags = 0;
	info.count = 0;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static long ferry_mdev_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct ferry_mdev *mdev = mdev_of(vdev);

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info((void __user *)arg);
	case VFIO_DEVICE_RESET:
		lab_reset(&mdev->lab);
		ferry_mdev_unpin_all(mdev);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int ferry_mdev_init(struct vfio_device *vdev)
{
	struct ferry_mdev *mdev = mdev_of(vdev);
	struct ferry_mdev_type *type = type_of(vdev);
	int ret;

	/* A vendor that QEMU uses for its own, with a device and a class that no driver looks for. */
	put_unaligned_le16(0x1234, mdev->config + PCI_VENDOR_ID);
	put_unaligned_le16(0x4659, mdev->config + PCI_DEVICE_ID);
	put_unaligned_le16(PCI_CLASS_OTHERS << 8, mdev->config + PCI_CLASS_DEVICE);

	if (atomic_dec_if_positive(&type->available) < 0)
		return -ENOSPC;
	ferry_mdev_pins_init(mdev);
	vdev->mig_ops = &migration_ops;
	if (type->logged)
		vdev->log_ops = &log_ops;
	ret = lab_init(&mdev->lab, vdev, LAB_KIND_MDEV, dev_name(vdev->dev), &lab_ops);
	if (ret)
		atomic_inc(&type->available);
	return ret;
}

static void ferry_mdev_release(struct vfio_device *vdev)
{
	struct ferry_mdev *mdev = mdev_of(vdev);

	lab_destroy(&mdev->lab);
	mutex_destroy(&mdev->pins_lock);
	atomic_inc(&type_of(vdev)->available);
}

static const struct vfio_device_ops device_ops = {
	.name = "ferry_mdev",
	.init = ferry_mdev_init,
	.release = ferry_mdev_release,
	.open_device = ferry_mdev_open,
	.close_device = ferry_mdev_close,
	.read = ferry_mdev_read,
	.write = ferry_mdev_write_region,
	.ioctl = ferry_mdev_ioctl,
	.dma_unmap = ferry_mdev_unmap,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int ferry_mdev_probe(struct mdev_device *device)
{
	struct ferry_mdev *mdev;
	int ret;

	mdev = vfio_alloc_device(ferry_mdev, vdev, &device->dev, &device_ops);
	if (IS_ERR(mdev))
		return PTR_ERR(mdev);
	ret = vfio_register_emulated_iommu_dev(&mdev->vdev);
	if (ret) {
		vfio_put_device(&mdev->vdev);
		return ret;
	}
	dev_set_drvdata(&device->dev, mdev);
	return 0;
}

static void ferry_mdev_remove(struct mdev_device *device)
{
	struct ferry_mdev *mdev = dev_get_drvdata(&device->dev);

	vfio_unregister_group_dev(&mdev->vdev);
	vfio_put_device(&mdev->vdev);
}

static unsigned int ferry_mdev_get_available(struct mdev_type *type)
{
	return atomic_read(&container_of(type, struct ferry_mdev_type, type)->available);
}

static struct mdev_driver driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.driver = {
		.name = "ferry_mdev",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
	.probe = ferry_mdev_probe,
	.remove = ferry_mdev_remove,
	.get_available = ferry_mdev_get_available,
};

/* --- the parent: a device of a class, because the class's name begins the names of the types --- */

static struct class *parent_class;
static struct device *parent_device;
static struct mdev_parent parent;

static int __init ferry_mdev_module_init(void)
{
	int ret = mdev_register_driver(&driver);

	if (ret)
		return ret;
	parent_class = class_create("ferry_mdev");
	if (IS_ERR(parent_class)) {
		ret = PTR_ERR(parent_class);
		goto err_driver;
	}
	parent_device = device_create(parent_class, NULL, MKDEV(0, 0), NULL, "ferry_mdev");
	if (IS_ERR(parent_device)) {
		ret = PTR_ERR(parent_device);
		goto err_class;
	}
	ret = mdev_register_parent(&parent, parent_device, &driver, type_list, ARRAY_SIZE(type_list));
	if (ret)
		goto err_device;
	return 0;

err_device:
	device_unregister(parent_device);
err_class:
	class_destroy(parent_class);
err_driver:
	mdev_unregister_driver(&driver);
	return ret;
}
module_init(ferry_mdev_module_init);

static void __exit ferry_mdev_module_exit(void)
{
	mdev_unregister_parent(&parent);
	device_unregister(parent_device);
	class_destroy(parent_class);
	mdev_unregister_driver(&driver);
}
module_exit(ferry_mdev_module_exit);

MODULE_DESCRIPTION("Mediated devices that write to memory, for the Ferry lab");
MODULE_LICENSE("GPL");
