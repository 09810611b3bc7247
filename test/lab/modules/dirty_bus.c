// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PCI host bridge in software, with a PCI domain (segment) of its own, and functions without BARs or capabilities on
 * its only bus: 00fe:00:00.0, 00fe:00:01.0 ... Their configuration space is memory. To the rest of the kernel and to
 * user space they are functions like any other: found by address, bound by driver_override, removed and rescanned.
 *
 * The emulated VT-d does not claim them, because its tables speak of segment 0 alone.
 */
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci.h>

#include "dirty.h"

#define CONFIG_BYTES	256
#define MOST_FUNCTIONS	32	/* one a slot, so that each is a device of its own */

static ushort segment = 0xfe;
module_param(segment, ushort, 0444);
MODULE_PARM_DESC(segment, "PCI domain of the functions (default 0xfe)");

static uint functions = 8;
module_param(functions, uint, 0444);
MODULE_PARM_DESC(functions, "how many, 1 to 32 (default 8)");

static uint logged = 0xf0;
module_param(logged, uint, 0444);
MODULE_PARM_DESC(logged, "mask of those with a DMA log of their own (default 0xf0)");

static u8 config_space[MOST_FUNCTIONS][CONFIG_BYTES];

static struct pci_host_bridge *bridge;
static struct fwnode_handle *msi_node;
static struct irq_domain *msi_domain;

/* Bits of the 32-bit word at `where` that software may change. */
static u32 writable_bits(int where)
{
	switch (where) {
	case PCI_COMMAND:	/* and PCI_STATUS, whose bits are never set */
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
	case PCI_CACHE_LINE_SIZE:	/* and PCI_LATENCY_TIMER */
		return 0xffff;
	case PCI_INTERRUPT_LINE:
		return 0xff;
	default:
		return 0;
	}
}

static u8 *function_config(struct pci_bus *bus, unsigned int devfn)
{
	if (bus->number || PCI_FUNC(devfn) || PCI_SLOT(devfn) >= functions)
		return NULL;
	return config_space[PCI_SLOT(devfn)];
}

/* The PCI core serializes accesses, and gives only aligned ones of 1, 2 or 4 bytes. */
static int config_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	const u8 *config = function_config(bus, devfn);

	if (!config || where + size > CONFIG_BYTES) {
		PCI_SET_ERROR_RESPONSE(value);
		return PCIBIOS_DEVICE_NOT_FOUND;
	}
	*value = 0;
	memcpy(value, config + where, size);
	return PCIBIOS_SUCCESSFUL;
}

static int config_write(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 value)
{
	u8 *config = function_config(bus, devfn);
	int shift = 8 * (where & 3);
	u32 mask, *word;

	if (!config || where + size > CONFIG_BYTES)
		return PCIBIOS_DEVICE_NOT_FOUND;
	word = (u32 *)(config + (where & ~3));
	mask = writable_bits(where & ~3) & (GENMASK(8 * size - 1, 0) << shift);
	*word = (*word & ~mask) | ((value << shift) & mask);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops config_ops = {
	.read = config_read,
	.write = config_write,
};

bool dirty_bus_owns(const struct pci_dev *pdev)
{
	return pdev->bus->ops == &config_ops;
}

static void fill_config(unsigned int slot)
{
	u8 *config = config_space[slot];

	memset(config, 0, CONFIG_BYTES);
	*(u16 *)(config + PCI_VENDOR_ID) = DIRTY_VENDOR_ID;
	*(u16 *)(config + PCI_DEVICE_ID) = logged & BIT(slot) ? DIRTY_DEVICE_ID_LOGGED : DIRTY_DEVICE_ID;
	*(u16 *)(config + PCI_CLASS_DEVICE) = PCI_CLASS_SYSTEM_OTHER;
	*(u16 *)(config + PCI_SUBSYSTEM_VENDOR_ID) = DIRTY_VENDOR_ID;
	*(u16 *)(config + PCI_SUBSYSTEM_ID) = *(u16 *)(config + PCI_DEVICE_ID);
}

/*
 * VFIO's backends take only devices whose interrupt messages reach nobody but their owner. These functions can send
 * none at all; the MSI domain that says so has nothing to do, and no interrupt is ever allocated from it.
 */
static const struct irq_domain_ops no_interrupts;

static int add_msi_domain(void)
{
	struct irq_domain_info info = {
		.domain_flags = IRQ_DOMAIN_FLAG_ISOLATED_MSI,
		.ops = &no_interrupts,
	};

	msi_node = irq_domain_alloc_named_fwnode("ferry-dirty");
	if (!msi_node)
		return -ENOMEM;
	info.fwnode = msi_node;
	msi_domain = irq_domain_instantiate(&info);
	if (IS_ERR(msi_domain)) {
		irq_domain_free_fwnode(msi_node);
		return PTR_ERR(msi_domain);
	}
	return 0;
}

static void remove_msi_domain(void)
{
	irq_domain_remove(msi_domain);
	irq_domain_free_fwnode(msi_node);
}

int dirty_bus_add(void)
{
	static struct resource busn = { .name = "ferry-dirty", .flags = IORESOURCE_BUS };
	struct pci_sysdata *sysdata;
	int ret;

	if (!functions || functions > MOST_FUNCTIONS)
		return -EINVAL;
	for (unsigned int slot = 0; slot < functions; slot++)
		fill_config(slot);
	ret = add_msi_domain();
	if (ret)
		return ret;

	/* What x86 wants to know of a bus lives with the bridge, which the last reference to the bus keeps. */
	bridge = pci_alloc_host_bridge(sizeof(*sysdata));
	if (!bridge) {
		ret = -ENOMEM;
		goto err_msi;
	}
	sysdata = pci_host_bridge_priv(bridge);
	sysdata->domain = segment;
	sysdata->node = NUMA_NO_NODE;
	bridge->sysdata = sysdata;
	bridge->ops = &config_ops;
	dev_set_msi_domain(&bridge->dev, msi_domain);	/* the bus inherits it, and from the bus each function */
	pci_add_resource(&bridge->windows, &busn);

	pci_lock_rescan_remove();
	ret = pci_scan_root_bus_bridge(bridge);
	if (!ret)
		pci_bus_add_devices(bridge->bus);
	pci_unlock_rescan_remove();
	if (ret)
		goto err_bridge;
	return 0;

err_bridge:
	pci_free_host_bridge(bridge);
err_msi:
	remove_msi_domain();
	return ret;
}

void dirty_bus_remove(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(bridge->bus);
	pci_remove_root_bus(bridge->bus);
	pci_unlock_rescan_remove();
	pci_free_host_bridge(bridge);
	remove_msi_domain();
}
