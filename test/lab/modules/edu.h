/* SPDX-License-Identifier: GPL-2.0-only */
/* Among the parts of ferry_edu: edu.c (VFIO), edu_write.c (a write of the engine's), edu_dma.c (the function's DMA). */
#ifndef EDU_H
#define EDU_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "ferry_lab.h"

/**
 * struct ferry_edu - one function
 * @core: what vfio-pci knows of it
 * @lab: the engine, the migration and the DMA log
 * @dma_lock: held for a whole write, and by whoever changes the function's domain: iommufd attaches, replaces and
 *	detaches while the device is open. A type1 container cannot lose the group of an open device, and the group
 *	has no other member (edu_measure() sees to that), so there nobody else changes the domain.
 * @regs: the function's BAR 0, while open
 * @last: the last address its DMA reaches
 * @stage: the page it reads stamps from: those of the write and of some that will follow
 * @loaded: how many stamps of @stage are in the function's buffer, in the same places
 */
struct ferry_edu {
	struct vfio_pci_core_device core;
	struct lab_device lab;
	struct mutex dma_lock;
	void __iomem *regs;
	u64 last;
	u8 *stage;
	unsigned int loaded;
};

/* --- edu_dma.c --- */

enum edu_direction {
	EDU_READ,	/* memory to the function's buffer */
	EDU_WRITE,
};

/*
 * Moves a block between `iova`, which is mapped, and the buffer of 4 KiB, `offset` bytes into it. -ENXIO: the function
 * is not enabled as a bus master; -ETIMEDOUT: it did not end, and the function is a bus master no longer.
 */
int edu_dma(struct pci_dev *pdev, void __iomem *regs, enum edu_direction direction, u64 iova, u64 offset, u64 bytes);
/* At probe, while nobody has the function: the last address it reaches. Fails if it shares its IOMMU group. */
int edu_measure(struct pci_dev *pdev, u64 *last);

/* --- edu_write.c --- */

extern const struct lab_ops edu_lab_ops;

#endif
