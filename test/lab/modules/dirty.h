/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of ferry_dirty.ko: the bus its functions are on (dirty_bus.c), the IOMMU they are behind (dirty_iommu.c,
 * dirty_table.c), and their VFIO driver (dirty_vfio.c). All of it is software; nothing of the machine is touched.
 */
#ifndef FERRY_DIRTY_H
#define FERRY_DIRTY_H

#include <linux/pci.h>
#include <linux/types.h>

#define DIRTY_VENDOR_ID		0x1234	/* QEMU's, for devices of no vendor */
#define DIRTY_DEVICE_ID		0xf00d	/* tracked by its IOMMU alone */
#define DIRTY_DEVICE_ID_LOGGED	0xf00e	/* has a DMA log of its own besides */

/* dirty_bus.c */
int dirty_bus_add(void);
void dirty_bus_remove(void);
/* One of this module's functions, whatever driver it has. */
bool dirty_bus_owns(const struct pci_dev *pdev);

/* dirty_iommu.c */
int dirty_iommu_add(void);
void dirty_iommu_remove(void);
/* What DMA of `dev` does: copies to `iova` and sets the entry's dirty bit, unless `untold`. -ENXIO: not mapped. */
int dirty_iommu_write(struct device *dev, u64 iova, const void *data, size_t bytes, bool untold);

#endif
