/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the two files of ferry_mdev.ko. */
#ifndef FERRY_MDEV_H
#define FERRY_MDEV_H

#include "ferry_lab.h"

struct ferry_mdev {
	struct vfio_device vdev;
	struct lab_device lab;
	u8 config[256];			/* PCI configuration space: read only */

	/* mdev_pins.c */
	struct mutex pins_lock;
	struct xarray pins;		/* LAB_MODE_PIN_KEEP: by page number, the struct page */
	unsigned long shut_until;	/* jiffies: no page is pinned before */
	struct page *stray;		/* of drop_dirty: referenced, not pinned */
	u64 stray_page;			/* its page number */
};

void ferry_mdev_pins_init(struct ferry_mdev *mdev);
int ferry_mdev_write(struct lab_device *lab, u64 iova, const u8 *slot, bool untold);
/* vfio_device_ops.dma_unmap */
void ferry_mdev_unmap(struct vfio_device *vdev, u64 iova, u64 length);
/* Of the whole address space. */
void ferry_mdev_unpin_all(struct ferry_mdev *mdev);

#endif
