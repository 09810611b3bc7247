// SPDX-License-Identifier: GPL-2.0-only
/* The DMA of QEMU's edu function: one block at a time, 100 ms each, between memory and a buffer of 4 KiB inside it. */
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iopoll.h>

#include "edu.h"

/* The registers take 8 bytes at once: a write of 4 clears the upper half. */
#define EDU_DMA_FROM		0x80
#define EDU_DMA_TO		0x88
#define EDU_DMA_BYTES		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_RUN		BIT_ULL(0)	/* reads as 1 until the block has been moved */
#define EDU_DMA_TO_MEMORY	BIT_ULL(1)
#define EDU_BUFFER		0x40000		/* where the DMA finds the buffer; MMIO does not */

#define EDU_DMA_US		(100 * USEC_PER_MSEC)
#define EDU_TIMEOUT_US		(5 * USEC_PER_SEC)	/* QEMU's timers are late when its host is busy */

/*
 * Its memory space and the bus are on when the device is opened; the user may turn them off, as for any function. QEMU
 * drops a DMA without the bus and says nothing, so this is asked again afterwards.
 */
static bool edu_enabled(struct pci_dev *pdev)
{
	u16 wanted = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, command;

	return !pci_read_config_word(pdev, PCI_COMMAND, &command) && (command & wanted) == wanted;
}

static int edu_wait(void __iomem *regs)
{
	u64 command;

	return readq_poll_timeout(regs + EDU_DMA_COMMAND, command, !(command & EDU_DMA_RUN) || command == ~0ULL, 500,
				  EDU_TIMEOUT_US);
}

int edu_dma(struct pci_dev *pdev, void __iomem *regs, enum edu_direction direction, u64 iova, u64 offset, u64 bytes)
{
	u64 buffer = EDU_BUFFER + offset;
	int ret;

	if (!edu_enabled(pdev))
		return -ENXIO;
	ret = edu_wait(regs);
	if (!ret) {
		writeq(direction == EDU_READ ? iova : buffer, regs + EDU_DMA_FROM);
		writeq(direction == EDU_READ ? buffer : iova, regs + EDU_DMA_TO);
		writeq(bytes, regs + EDU_DMA_BYTES);
		writeq(EDU_DMA_RUN | (direction == EDU_WRITE ? EDU_DMA_TO_MEMORY : 0), regs + EDU_DMA_COMMAND);
		usleep_range(EDU_DMA_US, EDU_DMA_US + 500);
		ret = edu_wait(regs);
	}
	if (ret) {
		/* It may still happen, when `iova` is no longer ours: without the bus it cannot. */
		pci_clear_master(pdev);
		pci_warn(pdev, "DMA did not end in %lu s\n", EDU_TIMEOUT_US / USEC_PER_SEC);
		return ret;
	}
	return edu_enabled(pdev) ? 0 : -ENXIO;
}

/* --- how far its DMA reaches --- */

#define MEASURE_FIRST	13	/* bits: the second page */
#define MEASURE_LAST	57

/*
 * For each width that the DMA may have, a page that tells it, where one ends up who looks for the top of `most` bits
 * with an address cut to that width.
 */
static int measure_map(struct iommu_domain *domain, struct page **pages, unsigned int most)
{
	unsigned int bits;
	int ret;

	for (bits = MEASURE_FIRST; bits <= most; bits++) {
		pages[bits] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!pages[bits])
			return -ENOMEM;
		*(u64 *)page_address(pages[bits]) = bits;
		ret = iommu_map(domain, BIT_ULL(bits) - PAGE_SIZE, page_to_phys(pages[bits]), PAGE_SIZE,
				IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
		if (ret)
			return ret;
	}
	return 0;
}

/* Reads the top of `most` bits, and has what came written into the second page: both are in reach of every width. */
static int measure_dma(struct pci_dev *pdev, void __iomem *regs, struct page **pages, unsigned int most, u64 *last)
{
	u64 second = BIT_ULL(MEASURE_FIRST) - PAGE_SIZE, found;
	int ret;

	ret = edu_dma(pdev, regs, EDU_READ, BIT_ULL(most) - PAGE_SIZE, 0, sizeof(found));
	if (!ret)
		ret = edu_dma(pdev, regs, EDU_WRITE, second + sizeof(found), 0, sizeof(found));
	if (ret)
		return ret;
	found = ((u64 *)page_address(pages[MEASURE_FIRST]))[1];
	if (found < MEASURE_FIRST || found > most)
		return -EIO;
	*last = BIT_ULL(found) - 1;
	return 0;
}

static int measure_reach(struct pci_dev *pdev, void __iomem *regs, u64 *last)
{
	struct page *pages[MEASURE_LAST + 1] = {};
	struct iommu_domain *domain;
	unsigned int bits, most;
	int ret;

	domain = iommu_paging_domain_alloc(&pdev->dev);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	ret = iommu_attach_device(domain, &pdev->dev);
	if (ret)
		goto free;
	/* Not before it is attached: until then VT-d's are 57 bits wide, whatever the hardware has. */
	most = min_t(unsigned int, fls64(domain->geometry.aperture_end), MEASURE_LAST);
	ret = measure_map(domain, pages, most);
	if (!ret)
		ret = measure_dma(pdev, regs, pages, most, last);
	iommu_detach_device(domain, &pdev->dev);
free:
	iommu_domain_free(domain);
	for (bits = MEASURE_FIRST; bits <= MEASURE_LAST; bits++)
		if (pages[bits])
			__free_page(pages[bits]);
	return ret;
}

/*
 * QEMU silently cuts the addresses of this DMA to the property dma_mask, 28 bits unless told otherwise, and no
 * register tells. A driver that does not know writes to the wrong pages, or makes VT-d log faults. So it reads the top
 * of a domain of its own, in which every result leads to another page, and looks at what came.
 */
int edu_measure(struct pci_dev *pdev, u64 *last)
{
	void __iomem *regs;
	int ret;

	ret = iommu_device_claim_dma_owner(&pdev->dev, pdev);
	if (ret)
		return ret;
	ret = pci_enable_device(pdev);
	if (ret)
		goto release;
	ret = pci_request_region(pdev, 0, KBUILD_MODNAME);
	if (ret)
		goto disable;
	regs = pci_iomap(pdev, 0, 0);
	if (!regs) {
		ret = -ENOMEM;
		goto release_region;
	}
	pci_set_master(pdev);
	ret = measure_reach(pdev, regs, last);
	pci_clear_master(pdev);
	pci_iounmap(pdev, regs);
release_region:
	pci_release_region(pdev, 0);
disable:
	pci_disable_device(pdev);
release:
	iommu_device_release_dma_owner(&pdev->dev);
	return ret;
}
