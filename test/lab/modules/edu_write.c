// SPDX-License-Identifier: GPL-2.0-only
/*
 * A write of the engine's: the function's DMA brings the stamp into its buffer, unless it is there already, and writes
 * it to the user's memory, both through the domain that the user attached.
 */
#include <linux/cleanup.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "edu.h"

static ulong stage_iova;
module_param(stage_iova, ulong, 0644);
MODULE_PARM_DESC(stage_iova, "where the driver's page is mapped while the function reads it; 0 (default): it searches");

/* Two functions of one container share its domain: they must not choose the same place at the same time. */
static DEFINE_MUTEX(stage_lock);

#define PLACES	256

/*
 * Maps the stamps where the user has mapped nothing: at the top of what the function reaches, where users seldom are,
 * and lower each time somebody is there, in steps that make it unlikely that one mapping takes many places.
 *
 * No address in a user's domain is out of the user's reach (but the interrupt range, which is no memory), so the page
 * is there only while the function reads it. If the user maps just there, just then, VT-d complains, and the user's
 * page is not mapped: stage_iova moves the place. -ENOSPC: the function reaches nothing that is free.
 */
static int edu_stage(struct ferry_edu *edu, struct iommu_domain *domain, u64 *iova)
{
	u64 at = (stage_iova ?: edu->last) & PAGE_MASK, step;
	unsigned int tries;

	guard(mutex)(&stage_lock);
	for (tries = 1; iommu_iova_to_phys(domain, at); tries++) {
		step = at >= SZ_4G ? SZ_1G : SZ_2M;
		if (tries == PLACES || at < step)
			return -ENOSPC;
		at -= step;
	}
	*iova = at;
	return iommu_map(domain, at, virt_to_phys(edu->stage), PAGE_SIZE, IOMMU_READ, GFP_KERNEL);
}

#define STAMPS	(PAGE_SIZE / LAB_SLOT_BYTES)	/* that fit into the function's buffer, and into the page */

/* Where in the buffer the stamp is. It need not be told when what was to follow does not. */
static int edu_find(struct ferry_edu *edu, const u8 *slot)
{
	unsigned int i;

	for (i = 0; i < edu->loaded; i++)
		if (!memcmp(edu->stage + i * LAB_SLOT_BYTES, slot, LAB_SLOT_BYTES))
			return i;
	return -ENOENT;
}

/* Fills the buffer with this stamp and those that are likely to be next: one block for 16 writes instead of 16. */
static int edu_load(struct ferry_edu *edu, struct iommu_domain *domain)
{
	u64 iova;
	int ret;

	edu->loaded = 0;
	lab_slots_ahead(&edu->lab, edu->stage, STAMPS);
	ret = edu_stage(edu, domain, &iova);
	if (ret)
		return ret;
	ret = edu_dma(edu->core.pdev, edu->regs, EDU_READ, iova, 0, STAMPS * LAB_SLOT_BYTES);
	iommu_unmap(domain, iova, PAGE_SIZE);
	if (!ret)
		edu->loaded = STAMPS;
	return ret;
}

static int edu_write(struct lab_device *lab, u64 iova, const u8 *slot, bool untold)
{
	struct ferry_edu *edu = container_of(lab, struct ferry_edu, lab);
	struct iommu_domain *domain;
	phys_addr_t phys;
	int at, ret;

	guard(mutex)(&edu->dma_lock);
	if (!edu->regs || iova > edu->last - (LAB_SLOT_BYTES - 1))
		return -ENXIO;
	/* Before the user attaches, it is the blocking domain; nested ones are the user's page tables, not ours. */
	domain = iommu_get_domain_for_dev(&edu->core.pdev->dev);
	if (!domain || domain->type != IOMMU_DOMAIN_UNMANAGED || !iommu_iova_to_phys(domain, iova))
		return -ENXIO;
	at = edu_find(edu, slot);
	if (at < 0) {
		ret = edu_load(edu, domain);
		if (ret)
			return ret;
		at = edu_find(edu, slot);
		if (at < 0)
			return -EIO;
	}
	/* The user may have unmapped it since, or do so meanwhile: then VT-d logs a fault, and the write has not been. */
	phys = iommu_iova_to_phys(domain, iova);
	if (!phys)
		return -ENXIO;
	ret = edu_dma(edu->core.pdev, edu->regs, EDU_WRITE, iova, at * LAB_SLOT_BYTES, LAB_SLOT_BYTES);
	if (ret)
		return ret;
	return iommu_iova_to_phys(domain, iova) == phys ? 0 : -ENXIO;
}

const struct lab_ops edu_lab_ops = {
	.write = edu_write,
};
