/* SPDX-License-Identifier: GPL-2.0 */
/* A PCI function as a program sees it: its BARs, and its INTx through UIO. */
#ifndef GUEST_MDEV_DEVICE_H
#define GUEST_MDEV_DEVICE_H

#include <stddef.h>
#include <stdint.h>

struct device {
	char name[32];		/* 0000:00:04.0 */
	uint8_t *regs;		/* BAR 0 */
	uint8_t *memory;	/* BAR 2 */
	uint64_t memory_bytes;
	uint64_t memory_dma;	/* where BAR 2 is in the guest's memory map */
	int config;		/* file of its config space */
	int uio;		/* readable when there was an interrupt */
	uint32_t interrupts;	/* as UIO counts them */
};

/*
 * Binds uio_pci_generic to all functions with this vendor and device, maps them
 * and enables memory, bus mastering and INTx. Returns how many there are, or -1
 * with errno.
 */
int device_find(uint16_t vendor, uint16_t device, struct device *devices,
		unsigned int most);
/* Interrupts since the last call; 0 if there was none. Waits for nothing. */
uint32_t device_take_interrupts(struct device *device);
/*
 * Has QEMU look again where INTx goes. It connects the interrupt to KVM when it
 * starts, and again when the routing registers of the chipset are written; a
 * guest that migrated has them loaded, not written, and gets no interrupt (seen
 * with QEMU 7.2, machine pc).
 */
void device_reroute(void);
/* After each, when the device has been served: lets it interrupt again. */
void device_unmask(const struct device *device);

static inline uint32_t device_read(const struct device *device, unsigned int reg)
{
	return __atomic_load_n((uint32_t *)(device->regs + reg), __ATOMIC_RELAXED);
}

static inline void device_write(const struct device *device, unsigned int reg,
				uint32_t value)
{
	__atomic_store_n((uint32_t *)(device->regs + reg), value, __ATOMIC_RELAXED);
}

static inline uint64_t device_read64(const struct device *device,
				     unsigned int reg)
{
	uint64_t low = device_read(device, reg);

	return (uint64_t)device_read(device, reg + 4) << 32 | low;
}

static inline void device_write64(const struct device *device, unsigned int reg,
				  uint64_t value)
{
	device_write(device, reg, value);
	device_write(device, reg + 4, value >> 32);
}

#endif
