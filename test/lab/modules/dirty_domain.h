/* SPDX-License-Identifier: GPL-2.0-only */
/* A paging domain of the software IOMMU (dirty_iommu.c) and its page table (dirty_table.c). */
#ifndef FERRY_DIRTY_DOMAIN_H
#define FERRY_DIRTY_DOMAIN_H

#include <linux/iommu.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

struct dirty_domain {
	struct iommu_domain domain;
	struct xarray table;
	bool tracking;		/* under the table's lock */
};

static inline struct dirty_domain *to_dirty(struct iommu_domain *domain)
{
	return container_of(domain, struct dirty_domain, domain);
}

/* As in struct iommu_domain_ops; pages of 4 KiB and 2 MiB. */
int dirty_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t pgsize,
		    size_t pgcount, int prot, gfp_t gfp, size_t *mapped);
size_t dirty_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize, size_t pgcount,
			 struct iommu_iotlb_gather *gather);
phys_addr_t dirty_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);
extern const struct iommu_dirty_ops dirty_dirty_ops;

/* See dirty_iommu_write(). */
int dirty_write_page(struct dirty_domain *dirty, u64 iova, const void *data, size_t bytes, bool untold);

#endif
