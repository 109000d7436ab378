// SPDX-License-Identifier: GPL-2.0
/* PCI config space: a conventional device with an MSI capability. */
#include <linux/log2.h>
#include <linux/pci_regs.h>
#include <linux/unaligned.h>

#include "mcopy.h"

#define COMMAND_MASK (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | \
		      PCI_COMMAND_PARITY | PCI_COMMAND_SERR |	\
		      PCI_COMMAND_INTX_DISABLE)

u16 mcopy_config_command_locked(const struct mcopy *m)
{
	lockdep_assert_held(&m->lock);
	return get_unaligned_le16(m->config + PCI_COMMAND);
}

static void set_id(struct mcopy *m)
{
	u8 *config = m->config;

	put_unaligned_le16(MCOPY_VENDOR_ID, config + PCI_VENDOR_ID);
	put_unaligned_le16(MCOPY_DEVICE_ID, config + PCI_DEVICE_ID);
	put_unaligned_le16(PCI_STATUS_CAP_LIST, config + PCI_STATUS);
	put_unaligned_le32(MCOPY_CLASS << 8 | MCOPY_VERSION,
			   config + PCI_CLASS_REVISION);
	put_unaligned_le16(MCOPY_VENDOR_ID, config + PCI_SUBSYSTEM_VENDOR_ID);
	put_unaligned_le16(MCOPY_DEVICE_ID, config + PCI_SUBSYSTEM_ID);
	config[PCI_CAPABILITY_LIST] = MCOPY_CAP_MSI;
	config[PCI_INTERRUPT_PIN] = 1;
}

/* Sets what can be written to 0, and the rest to what it is. */
void mcopy_config_reset_locked(struct mcopy *m)
{
	u8 *config = m->config;

	lockdep_assert_held(&m->lock);
	memset(config, 0, MCOPY_CONFIG_SIZE);
	set_id(m);
	put_unaligned_le32(PCI_BASE_ADDRESS_MEM_TYPE_32,
			   config + PCI_BASE_ADDRESS_0);
	put_unaligned_le32(PCI_BASE_ADDRESS_MEM_TYPE_64 |
			   PCI_BASE_ADDRESS_MEM_PREFETCH,
			   config + PCI_BASE_ADDRESS_2);
	config[MCOPY_CAP_MSI] = PCI_CAP_ID_MSI;
	put_unaligned_le16(PCI_MSI_FLAGS_64BIT,
			   config + MCOPY_CAP_MSI + PCI_MSI_FLAGS);
}

void mcopy_config_init(struct mcopy *m)
{
	u8 *mask = m->config_mask;
	u64 bar2 = ~(mcopy_memory_size(m) - 1);

	put_unaligned_le16(COMMAND_MASK, mask + PCI_COMMAND);
	mask[PCI_CACHE_LINE_SIZE] = 0xff;
	mask[PCI_LATENCY_TIMER] = 0xff;
	put_unaligned_le32(~(MCOPY_REGS_SIZE - 1), mask + PCI_BASE_ADDRESS_0);
	put_unaligned_le32(lower_32_bits(bar2), mask + PCI_BASE_ADDRESS_2);
	put_unaligned_le32(upper_32_bits(bar2), mask + PCI_BASE_ADDRESS_3);
	mask[PCI_INTERRUPT_LINE] = 0xff;
	put_unaligned_le16(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE,
			   mask + MCOPY_CAP_MSI + PCI_MSI_FLAGS);
	put_unaligned_le32(~3U, mask + MCOPY_CAP_MSI + PCI_MSI_ADDRESS_LO);
	put_unaligned_le32(~0U, mask + MCOPY_CAP_MSI + PCI_MSI_ADDRESS_HI);
	put_unaligned_le16(0xffff, mask + MCOPY_CAP_MSI + PCI_MSI_DATA_64);
}

/* @offset and @len are inside config space: mcopy_region_rw() looked at them. */
void mcopy_config_read(struct mcopy *m, unsigned int offset, u8 *buf,
		       size_t len)
{
	size_t i;

	spin_lock(&m->lock);
	for (i = 0; i < len; i++) {
		buf[i] = m->config[offset + i];
		if (offset + i == PCI_STATUS &&
		    (m->regs.int_status & m->regs.int_enable))
			buf[i] |= PCI_STATUS_INTERRUPT;
	}
	spin_unlock(&m->lock);
}

void mcopy_config_write(struct mcopy *m, unsigned int offset, const u8 *buf,
			size_t len)
{
	size_t i;

	spin_lock(&m->lock);
	for (i = 0; i < len; i++) {
		u8 mask = m->config_mask[offset + i];
		u8 *byte = &m->config[offset + i];

		*byte = (*byte & ~mask) | (buf[i] & mask);
	}
	/* Bus mastering lets the engine run, INTX_DISABLE ends an interrupt. */
	mcopy_engine_kick_locked(m);
	mcopy_irq_update_locked(m, false);
	spin_unlock(&m->lock);
	mcopy_memory_device_dirtied(m);
}
