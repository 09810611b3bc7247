// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the mdev reaches memory: with no IOMMU of its own, it asks VFIO for the pages behind an IOVA. Both backends
 * promise that a page stays where it is while it is pinned, and that dma_unmap is called before a pinned range goes
 * away, which must leave nothing pinned in it. Type1 has its patience: it calls eleven times in a row at most, then
 * it is a BUG().
 *
 * Locks: pins_lock is held while VFIO takes its own (type1's iommu->lock, iommufd's ioas_lock and iova_rwsem), and is
 * taken in dma_unmap; that is no inversion, because both let go of theirs before they call it.
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "mdev.h"

/*
 * For so long after dma_unmap no page is pinned. Between that call and the moment the range is gone neither backend
 * holds a lock that would keep a new pin out, and type1 counts every one it finds as a broken promise.
 */
#define SHUT_MS	20

static struct ferry_mdev *mdev_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct ferry_mdev, vdev);
}

/*
 * Not mapped: type1 says EINVAL, iommufd ENOENT, or EINVAL while it unmaps. ENODEV is type1's when the process that
 * mapped the memory has gone, and its files are about to follow. For the engine they are all the same.
 */
static int reach_error(int ret)
{
	return ret == -EINVAL || ret == -ENOENT || ret == -ENODEV ? -ENXIO : ret;
}

static int pin(struct ferry_mdev *mdev, u64 iova, struct page **page)
{
	int ret;

	if (time_before(jiffies, mdev->shut_until))
		return -ENXIO;
	ret = vfio_pin_pages(&mdev->vdev, iova, 1, IOMMU_READ | IOMMU_WRITE, page);
	if (ret == 1)
		return 0;
	return ret < 0 ? reach_error(ret) : -EIO;
}

static void unpin(struct ferry_mdev *mdev, u64 iova)
{
	vfio_unpin_pages(&mdev->vdev, iova, 1);
}

static void write_page(struct page *page, u64 iova, const u8 *slot)
{
	memcpy_to_page(page, offset_in_page(iova), slot, LAB_SLOT_BYTES);
}

static int write_kept(struct ferry_mdev *mdev, u64 iova, const u8 *slot)
{
	u64 number = iova >> PAGE_SHIFT;
	struct page *page = xa_load(&mdev->pins, number);
	int ret;

	if (!page) {
		ret = pin(mdev, round_down(iova, PAGE_SIZE), &page);
		if (ret)
			return ret;
		ret = xa_err(xa_store(&mdev->pins, number, page, GFP_KERNEL));
		if (ret) {
			unpin(mdev, round_down(iova, PAGE_SIZE));
			return ret;
		}
	}
	write_page(page, iova, slot);
	return 0;
}

static int write_pinned(struct ferry_mdev *mdev, u64 iova, const u8 *slot)
{
	u64 start = round_down(iova, PAGE_SIZE);
	struct page *page;
	int ret = pin(mdev, start, &page);

	if (ret)
		return ret;
	write_page(page, iova, slot);
	unpin(mdev, start);
	return 0;
}

static void drop_stray(struct ferry_mdev *mdev)
{
	if (mdev->stray)
		put_page(mdev->stray);
	mdev->stray = NULL;
}

/*
 * The classic bug of such a driver: the page was pinned once and is no more, but a plain reference to it was kept,
 * and is written through. Type1 tells of a page when it is pinned and as long as it is; of this one, once more at
 * most: the first write here must pin it to find it, unless LAB_MODE_PIN_KEEP has it already.
 */
static int write_stray(struct ferry_mdev *mdev, u64 iova, const u8 *slot)
{
	u64 start = round_down(iova, PAGE_SIZE), number = iova >> PAGE_SHIFT;
	struct page *page;
	int ret;

	if (!mdev->stray || mdev->stray_page != number) {
		drop_stray(mdev);
		page = xa_erase(&mdev->pins, number);
		if (!page) {
			ret = pin(mdev, start, &page);
			if (ret)
				return ret;
		}
		get_page(page);
		unpin(mdev, start);
		mdev->stray = page;
		mdev->stray_page = number;
	}
	write_page(mdev->stray, iova, slot);
	return 0;
}

int ferry_mdev_write(struct lab_device *lab, u64 iova, const u8 *slot, bool untold)
{
	struct ferry_mdev *mdev = container_of(lab, struct ferry_mdev, lab);
	int ret;

	mutex_lock(&mdev->pins_lock);
	if (untold)
		ret = write_stray(mdev, iova, slot);
	else if (lab->program.mode == LAB_MODE_RW)
		ret = reach_error(vfio_dma_rw(&mdev->vdev, iova, (void *)slot, LAB_SLOT_BYTES, true));
	else if (lab->program.mode == LAB_MODE_PIN_EACH)
		ret = write_pinned(mdev, iova, slot);
	else
		ret = write_kept(mdev, iova, slot);
	mutex_unlock(&mdev->pins_lock);
	return ret;
}

static void unpin_range(struct ferry_mdev *mdev, u64 iova, u64 last)
{
	unsigned long number;
	struct page *page;

	xa_for_each_range(&mdev->pins, number, page, iova >> PAGE_SHIFT, last >> PAGE_SHIFT) {
		xa_erase(&mdev->pins, number);
		unpin(mdev, (u64)number << PAGE_SHIFT);
	}
	if (mdev->stray && mdev->stray_page >= iova >> PAGE_SHIFT && mdev->stray_page <= last >> PAGE_SHIFT)
		drop_stray(mdev);
}

void ferry_mdev_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct ferry_mdev *mdev = mdev_of(vdev);

	/* With the lock no write is in flight, and what is written after is written into what is mapped then. */
	mutex_lock(&mdev->pins_lock);
	mdev->shut_until = jiffies + msecs_to_jiffies(SHUT_MS);
	unpin_range(mdev, iova, iova + length - 1);
	mutex_unlock(&mdev->pins_lock);
}

void ferry_mdev_unpin_all(struct ferry_mdev *mdev)
{
	mutex_lock(&mdev->pins_lock);
	unpin_range(mdev, 0, U64_MAX);
	mutex_unlock(&mdev->pins_lock);
}

void ferry_mdev_pins_init(struct ferry_mdev *mdev)
{
	mutex_init(&mdev->pins_lock);
	xa_init(&mdev->pins);
	mdev->shut_until = jiffies;
}
