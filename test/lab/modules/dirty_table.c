// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page table of a dirty_domain. A write is looked up in it and sets the entry's dirty bit while the domain tracks,
 * as hardware does: one bit an entry, so that a write to 4 KiB of a 2 MiB entry makes all of it dirty.
 *
 * It is an xarray from the page number of an IOVA to entries, which are values; the xarray's lock is the table's, and
 * its mark 0 is the dirty bit. An entry of 2 MiB is at the index of its first page.
 */
#include <linux/module.h>
#include <linux/sched.h>

#include "dirty_domain.h"

#define DIRTY		XA_MARK_0
#define ENTRY_LARGE	BIT(0)	/* 2 MiB */
#define ENTRY_WRITE	BIT(1)
#define ENTRY_PFN_SHIFT	2
#define LARGE_PAGES	(SZ_2M / SZ_4K)

/* The entry that maps page `index`, and where it is; NULL: none. Under the lock, or RCU. */
static void *find_entry(struct dirty_domain *dirty, unsigned long index, unsigned long *at)
{
	void *entry;

	*at = index;
	entry = xa_load(&dirty->table, index);
	if (entry)
		return entry;
	*at = round_down(index, LARGE_PAGES);
	entry = xa_load(&dirty->table, *at);
	return entry && (xa_to_value(entry) & ENTRY_LARGE) ? entry : NULL;
}

static size_t entry_pages(void *entry)
{
	return xa_to_value(entry) & ENTRY_LARGE ? LARGE_PAGES : 1;
}

static unsigned long entry_pfn(void *entry)
{
	return xa_to_value(entry) >> ENTRY_PFN_SHIFT;
}

static int map_one(struct dirty_domain *dirty, unsigned long index, unsigned long value, gfp_t gfp)
{
	unsigned long last = index + (value & ENTRY_LARGE ? LARGE_PAGES : 1) - 1;
	unsigned long at;

	/* Only one caller maps an address at a time, so what is free now is free below. */
	if (find_entry(dirty, index, &at))
		return -EEXIST;
	at = index;
	if (xa_find(&dirty->table, &at, last, XA_PRESENT))
		return -EEXIST;
	return xa_insert(&dirty->table, index, xa_mk_value(value), gfp);
}

int dirty_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t pgsize,
		    size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct dirty_domain *dirty = to_dirty(domain);
	unsigned long bits = (pgsize == SZ_2M ? ENTRY_LARGE : 0) | (prot & IOMMU_WRITE ? ENTRY_WRITE : 0);

	for (; pgcount; pgcount--, iova += pgsize, paddr += pgsize, *mapped += pgsize) {
		int ret = map_one(dirty, iova >> PAGE_SHIFT, (PHYS_PFN(paddr) << ENTRY_PFN_SHIFT) | bits, gfp);

		if (ret)
			return ret;
	}
	return 0;
}

/*
 * An entry is dropped whole, and its whole size returned, when a part of it is asked for: callers that may meet large
 * entries rely on that, and a split would need memory, which an unmap must not.
 */
size_t dirty_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize, size_t pgcount,
			 struct iommu_iotlb_gather *gather)
{
	struct dirty_domain *dirty = to_dirty(domain);
	unsigned long index = iova >> PAGE_SHIFT, end = index + ((pgsize * pgcount) >> PAGE_SHIFT), at;
	unsigned long first = index;

	while (index < end) {
		void *entry;

		xa_lock(&dirty->table);
		entry = find_entry(dirty, index, &at);
		if (entry)
			__xa_erase(&dirty->table, at);
		xa_unlock(&dirty->table);
		if (!entry)
			break;
		index = at + entry_pages(entry);
	}
	return (index - first) << PAGE_SHIFT;
}

phys_addr_t dirty_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	unsigned long index = iova >> PAGE_SHIFT, at;
	phys_addr_t paddr = 0;
	void *entry;

	rcu_read_lock();
	entry = find_entry(to_dirty(domain), index, &at);
	if (entry)
		paddr = PFN_PHYS(entry_pfn(entry) + index - at) + offset_in_page(iova);
	rcu_read_unlock();
	return paddr;
}

/* --- dirty bits --- */

static int dirty_set_tracking(struct iommu_domain *domain, bool enable)
{
	struct dirty_domain *dirty = to_dirty(domain);

	/* iommufd has had all bits cleared just before it enables. */
	xa_lock(&dirty->table);
	dirty->tracking = enable;
	xa_unlock(&dirty->table);
	return 0;
}

static bool test_and_clear(struct dirty_domain *dirty, unsigned long at, unsigned long flags)
{
	bool was;

	xa_lock(&dirty->table);
	was = xa_get_mark(&dirty->table, at, DIRTY);
	if (was && !(flags & IOMMU_DIRTY_NO_CLEAR))
		__xa_clear_mark(&dirty->table, at, DIRTY);
	xa_unlock(&dirty->table);
	return was;
}

/*
 * As VT-d and AMD do, an entry is reported from the address the walk met it at, for its whole size: a range that ends
 * inside an entry gets more than was asked for, and the next range, which begins there, finds the entry clean.
 *
 * Recording may fault in pages of the caller's bitmap, so no lock is held meanwhile. What is written between the
 * clearing and the recording is dirty again for the next read.
 */
static int dirty_read_and_clear(struct iommu_domain *domain, unsigned long iova, size_t size, unsigned long flags,
				struct iommu_dirty_bitmap *bitmap)
{
	struct dirty_domain *dirty = to_dirty(domain);
	unsigned long index = iova >> PAGE_SHIFT, last = (iova + size - 1) >> PAGE_SHIFT, at;
	void *entry;

	/* Without a bitmap it is to clear, before tracking starts. */
	if (!READ_ONCE(dirty->tracking) && bitmap->bitmap)
		return -EINVAL;

	rcu_read_lock();
	entry = find_entry(dirty, index, &at);
	rcu_read_unlock();
	if (entry && at < index && test_and_clear(dirty, at, flags))
		iommu_dirty_bitmap_record(bitmap, iova, SZ_2M);

	at = index;
	for (entry = xa_find(&dirty->table, &at, last, DIRTY); entry;
	     entry = xa_find_after(&dirty->table, &at, last, DIRTY)) {
		if (test_and_clear(dirty, at, flags))
			iommu_dirty_bitmap_record(bitmap, at << PAGE_SHIFT, entry_pages(entry) << PAGE_SHIFT);
		cond_resched();
	}
	return 0;
}

const struct iommu_dirty_ops dirty_dirty_ops = {
	.set_dirty_tracking = dirty_set_tracking,
	.read_and_clear_dirty = dirty_read_and_clear,
};

/* The copy and the bit are one step to whoever unmaps the page or reads the bit, for both take the table's lock. */
int dirty_write_page(struct dirty_domain *dirty, u64 iova, const void *data, size_t bytes, bool untold)
{
	unsigned long index = iova >> PAGE_SHIFT, at, pfn;
	int ret = -ENXIO;
	void *entry;

	xa_lock(&dirty->table);
	entry = find_entry(dirty, index, &at);
	if (!entry || !(xa_to_value(entry) & ENTRY_WRITE))
		goto out;
	pfn = entry_pfn(entry) + index - at;
	if (!pfn_valid(pfn))	/* another device's BAR */
		goto out;
	memcpy(page_address(pfn_to_page(pfn)) + offset_in_page(iova), data, bytes);
	if (dirty->tracking && !untold)
		__xa_set_mark(&dirty->table, at, DIRTY);
	ret = 0;
out:
	xa_unlock(&dirty->table);
	return ret;
}

MODULE_IMPORT_NS(IOMMUFD);	/* iova_bitmap_set() */
