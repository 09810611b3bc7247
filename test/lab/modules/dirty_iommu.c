// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU in software, whose page tables have dirty bits (dirty_table.c): its domains, and the functions behind it.
 *
 * The functions come here, and not to the machine's own IOMMU, because their fwspec names this one. Firmware tables
 * would say so at this point of a function's life; here a notifier does, ahead of the IOMMU core's.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "dirty.h"
#include "dirty_domain.h"

/* Not 64: iommufd of 6.12 takes the end of a mapping up to the last byte for 0, and maps pages not the user's. */
static ushort address_bits = 48;
module_param(address_bits, ushort, 0444);
MODULE_PARM_DESC(address_bits, "width of IOVAs, 32 to 63 (default 48)");

/* A function, as this IOMMU sees it. */
struct dirty_source {
	spinlock_t lock;	/* held for each write, so that an attach returns with none in flight */
	struct dirty_domain *domain;	/* NULL: blocked, or identity, which these functions have no use for */
};

/*
 * The operations are on the heap for the sake of rmmod. Each device takes a reference to the module that owns its
 * IOMMU's operations; this module owns the devices too, and removes them on its way out, so it could never be unloaded.
 * Domains are what can outlive the devices, and each of them does hold the module.
 */
static struct dirty_iommu {
	struct iommu_device iommu;
	struct iommu_ops ops;
	struct fwnode_handle *node;
} *unit;

int dirty_iommu_write(struct device *dev, u64 iova, const void *data, size_t bytes, bool untold)
{
	struct dirty_source *source = dev_iommu_priv_get(dev);
	int ret = -ENXIO;

	if (WARN_ON_ONCE(!source || offset_in_page(iova) + bytes > PAGE_SIZE))
		return -EINVAL;
	spin_lock(&source->lock);
	if (source->domain)
		ret = dirty_write_page(source->domain, iova, data, bytes, untold);
	spin_unlock(&source->lock);
	return ret;
}

/* --- domains --- */

static void attach(struct device *dev, struct dirty_domain *dirty)
{
	struct dirty_source *source = dev_iommu_priv_get(dev);

	spin_lock(&source->lock);
	source->domain = dirty;
	spin_unlock(&source->lock);
}

static int dirty_attach_none(struct iommu_domain *domain, struct device *dev)
{
	attach(dev, NULL);
	return 0;
}

static int dirty_attach(struct iommu_domain *domain, struct device *dev)
{
	attach(dev, to_dirty(domain));
	return 0;
}

static void dirty_free(struct iommu_domain *domain)
{
	struct dirty_domain *dirty = to_dirty(domain);

	xa_destroy(&dirty->table);
	kfree(dirty);
	module_put(THIS_MODULE);
}

static const struct iommu_domain_ops none_ops = { .attach_dev = dirty_attach_none };
static struct iommu_domain identity_domain = { .type = IOMMU_DOMAIN_IDENTITY, .ops = &none_ops };
static struct iommu_domain blocked_domain = { .type = IOMMU_DOMAIN_BLOCKED, .ops = &none_ops };

static const struct iommu_domain_ops paging_ops = {
	.attach_dev = dirty_attach,
	.map_pages = dirty_map_pages,
	.unmap_pages = dirty_unmap_pages,
	.iova_to_phys = dirty_iova_to_phys,
	.free = dirty_free,
};

static struct iommu_domain *dirty_alloc_user(struct device *dev, u32 flags, struct iommu_domain *parent,
					     const struct iommu_user_data *user_data)
{
	struct dirty_domain *dirty;

	if ((flags & ~IOMMU_HWPT_ALLOC_DIRTY_TRACKING) || parent || user_data)
		return ERR_PTR(-EOPNOTSUPP);
	dirty = kzalloc(sizeof(*dirty), GFP_KERNEL_ACCOUNT);
	if (!dirty)
		return ERR_PTR(-ENOMEM);
	if (!try_module_get(THIS_MODULE)) {
		kfree(dirty);
		return ERR_PTR(-ENODEV);
	}
	xa_init(&dirty->table);
	dirty->domain.type = IOMMU_DOMAIN_UNMANAGED;
	dirty->domain.ops = &paging_ops;
	dirty->domain.pgsize_bitmap = unit->ops.pgsize_bitmap;
	dirty->domain.geometry.aperture_end = GENMASK_ULL(address_bits - 1, 0);
	dirty->domain.geometry.force_aperture = true;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		dirty->domain.dirty_ops = &dirty_dirty_ops;
	return &dirty->domain;
}

static struct iommu_domain *dirty_alloc_paging(struct device *dev)
{
	return dirty_alloc_user(dev, 0, NULL, NULL);
}

/* --- functions --- */

static bool dirty_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY || cap == IOMMU_CAP_DIRTY_TRACKING;
}

static struct iommu_device *dirty_probe_device(struct device *dev)
{
	struct dirty_source *source;

	if (!dev_is_pci(dev) || !dirty_bus_owns(to_pci_dev(dev)))
		return ERR_PTR(-ENODEV);
	source = kzalloc(sizeof(*source), GFP_KERNEL);
	if (!source)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&source->lock);
	dev_iommu_priv_set(dev, source);
	return &unit->iommu;
}

static void dirty_release_device(struct device *dev)
{
	kfree(dev_iommu_priv_get(dev));
}

/* No kernel driver does DMA with these functions, so none needs a domain of the DMA API. */
static int dirty_default_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

/* The core's probe lock, which firmware parsers hold here, is not for modules; nobody else knows the device yet. */
static int dirty_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct device *dev = data;
	int ret;

	if (action != BUS_NOTIFY_ADD_DEVICE || !dirty_bus_owns(to_pci_dev(dev)))
		return NOTIFY_DONE;
	ret = iommu_fwspec_init(dev, unit->node);
	if (ret)
		dev_err(dev, "ferry_dirty: behind no IOMMU: %d\n", ret);
	return NOTIFY_OK;
}

/* The IOMMU core's notifier has priority 0, and looks for the fwspec. */
static struct notifier_block notifier = { .notifier_call = dirty_notify, .priority = 10 };

int dirty_iommu_add(void)
{
	int ret;

	if (address_bits < 32 || address_bits > 63)
		return -EINVAL;
	unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return -ENOMEM;
	unit->ops = (struct iommu_ops){
		.capable = dirty_capable,
		.domain_alloc_user = dirty_alloc_user,
		.domain_alloc_paging = dirty_alloc_paging,
		.probe_device = dirty_probe_device,
		.release_device = dirty_release_device,
		.device_group = generic_device_group,
		.def_domain_type = dirty_default_type,
		.default_domain_ops = &paging_ops,
		.pgsize_bitmap = SZ_4K | SZ_2M,
		.identity_domain = &identity_domain,
		.blocked_domain = &blocked_domain,
		.release_domain = &blocked_domain,
	};
	unit->node = fwnode_create_software_node(NULL, NULL);
	if (IS_ERR(unit->node)) {
		ret = PTR_ERR(unit->node);
		goto err_unit;
	}
	ret = iommu_device_sysfs_add(&unit->iommu, NULL, NULL, "ferry-dirty");
	if (ret)
		goto err_node;
	unit->iommu.fwnode = unit->node;
	ret = iommu_device_register(&unit->iommu, &unit->ops, NULL);
	if (ret)
		goto err_sysfs;
	ret = bus_register_notifier(&pci_bus_type, &notifier);
	if (ret)
		goto err_register;
	return 0;

err_register:
	iommu_device_unregister(&unit->iommu);
err_sysfs:
	iommu_device_sysfs_remove(&unit->iommu);
err_node:
	fwnode_remove_software_node(unit->node);
err_unit:
	kfree(unit);
	return ret;
}

void dirty_iommu_remove(void)
{
	bus_unregister_notifier(&pci_bus_type, &notifier);
	iommu_device_unregister(&unit->iommu);
	iommu_device_sysfs_remove(&unit->iommu);
	fwnode_remove_software_node(unit->node);
	kfree(unit);
}
