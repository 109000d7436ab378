/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * mcopy, a sample PCI device that copies memory: what a driver of it must know
 *
 * Shared by the kernel module, the tests and programs in a guest.
 *
 * Creating one
 * ============
 *
 * The module mcopy.ko makes the parent /sys/class/mdev_bus/mcopy with the
 * types mcopy-16M, mcopy-64M and mcopy-256M, named after the size of the device
 * memory.  At most MCOPY_MAX_DEVICES exist at a time, of all types together.
 *
 *	echo $UUID > /sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-16M/create
 *	echo 1 > /sys/bus/mdev/devices/$UUID/remove
 *
 * /sys/bus/mdev/devices/$UUID/mcopy/migration_data_size is the size of the data
 * section of the migration region in bytes: a multiple of the page size, from 8
 * KiB to 16 MiB, 1 MiB at first.  Writing another value is -EINVAL, and -EBUSY
 * while the device is open.  The module has no parameters.
 *
 * A device that is opened is as after a reset: memory all zero, registers 0,
 * engine disabled.
 *
 * Regions
 * =======
 *
 *	BAR 0	registers, 4 KiB, 32-bit memory, not mappable
 *	BAR 2	device memory, 64-bit prefetchable memory, mappable (MAP_SHARED)
 *	config	256 bytes; PCI_COMMAND, PCI_CACHE_LINE_SIZE,
 *		PCI_LATENCY_TIMER, PCI_INTERRUPT_LINE, the BARs and the MSI
 *		capability can be written
 *	9	the migration region, <linux/vfio_migration_region.h>
 *
 * Byte n of a region is at file offset (index << MCOPY_REGION_SHIFT) + n.
 *
 * Registers
 * =========
 *
 * Little-endian, to be accessed aligned, at 4 bytes or, the 8-byte ones, at 8 or
 * as two halves (the low half first).  Writes of other widths are ignored, reads
 * of other widths give the bytes.  What is not listed reads 0 and ignores
 * writes.  "ro" ignores writes, "w1c" clears the bits that are written as 1.
 *
 *	offset	name		width
 *	0x000	ID		4 ro	MCOPY_ID
 *	0x004	VERSION		4 ro	MCOPY_VERSION
 *	0x008	MEM_SIZE	8 ro	bytes of device memory
 *	0x010	CTRL		4 rw	MCOPY_CTRL_*
 *	0x014	STATUS		4 ro	MCOPY_STATUS_*
 *	0x018	INT_STATUS	4 w1c	MCOPY_INT_*
 *	0x01c	INT_ENABLE	4 rw	MCOPY_INT_*
 *	0x020	RING_BASE	8 rw	DMA address of the descriptor ring, a
 *					multiple of 32
 *	0x028	RING_SIZE	4 rw	descriptors in it: a power of two, 1 to
 *					MCOPY_RING_MAX
 *	0x02c	RING_HEAD	4 ro	descriptors done since ENABLE, modulo
 *					2^32
 *	0x030	RING_TAIL	4 rw	descriptors filled since ENABLE, modulo
 *					2^32.  Writing it is the doorbell
 *	0x038	BYTES		8 ro	bytes copied since reset
 *	0x040	SCRATCH		8 rw	no meaning
 *
 * CTRL.ENABLE: on going from 0 to 1, RING_HEAD and RING_TAIL become 0 and the
 * ring's registers are looked at: a size or base that is not legal sets
 * STATUS.HALTED.  While it is 1, RING_BASE and RING_SIZE ignore writes.  On
 * going to 0 the engine stops after at most a page; a descriptor that was begun
 * is dropped, without a completion.
 *
 * CTRL.RESET: reads as 0.  Writing 1 is a reset of registers, engine and memory
 * (not of config space).
 *
 * The engine runs while CTRL.ENABLE is 1, PCI_COMMAND_MASTER is set,
 * STATUS.HALTED is 0 and RING_HEAD differs from RING_TAIL.  RING_TAIL -
 * RING_HEAD greater than RING_SIZE halts it, and drops the descriptor in work.
 * HALTED is left by CTRL.ENABLE going to 0.
 *
 * Descriptors
 * ===========
 *
 * Descriptor n of the ring is at RING_BASE + (n % RING_SIZE) * 32.  The device
 * reads all of it once, copies @length bytes from @src to @dst in ascending
 * order, at most a page at a time, writes 4 bytes @status, then advances
 * RING_HEAD, then sets INT_STATUS if MCOPY_DESC_INT is set in @flags or the
 * status is an error.  After an error in a descriptor the engine goes on with
 * the next.  If the ring itself cannot be read or written, it halts: HALTED and
 * INT_STATUS.HALTED are set.
 *
 * An address is one in device memory if MCOPY_DESC_SRC_LOCAL or _DST_LOCAL says
 * so, from 0, and a DMA address (guest memory, or a BAR of any device that is
 * mapped for DMA, its own too) otherwise.  Source and destination that overlap
 * give an undefined destination.
 *
 * When the device is stopped for migration, the copy in progress ends at a page
 * boundary of the source or the destination, whichever comes first, and goes on
 * from there when the device is started, there or elsewhere.  The position is
 * device state: no byte is copied twice or not at all.
 *
 * Interrupts
 * ==========
 *
 * INTx: the pin is asserted while INT_STATUS & INT_ENABLE is not 0 and
 * PCI_COMMAND_INTX_DISABLE is clear.  MSI, one vector, 64-bit: a message for
 * each completion with MCOPY_DESC_INT, and each error and halt, whose bit is set
 * in INT_ENABLE; and one when a write of INT_ENABLE enables a bit that is set.
 * After every completion with MCOPY_DESC_INT and INT_ENABLE.DONE an interrupt
 * follows; several completions may share it.
 *
 * A driver's handler reads INT_STATUS, writes back what it read, then looks at
 * RING_HEAD.
 */
#ifndef MCOPY_REGS_H
#define MCOPY_REGS_H

#include <linux/types.h>

#define MCOPY_VENDOR_ID		0x1234
#define MCOPY_DEVICE_ID		0x4d43
#define MCOPY_CLASS		0x120000	/* processing accelerator */
#define MCOPY_CAP_MSI		0x40	/* offset of the capability */

#define MCOPY_MAX_DEVICES	16
#define MCOPY_REGION_SHIFT	40
#define MCOPY_MIGRATION_REGION	9	/* VFIO_PCI_NUM_REGIONS */

#define MCOPY_ID		0x5950434d	/* "MCPY" */
#define MCOPY_VERSION		1
#define MCOPY_REGS_SIZE		0x1000

/* Registers in BAR 0. */
#define MCOPY_REG_ID		0x000
#define MCOPY_REG_VERSION	0x004
#define MCOPY_REG_MEM_SIZE	0x008
#define MCOPY_REG_CTRL		0x010
#define MCOPY_REG_STATUS	0x014
#define MCOPY_REG_INT_STATUS	0x018
#define MCOPY_REG_INT_ENABLE	0x01c
#define MCOPY_REG_RING_BASE	0x020
#define MCOPY_REG_RING_SIZE	0x028
#define MCOPY_REG_RING_HEAD	0x02c
#define MCOPY_REG_RING_TAIL	0x030
#define MCOPY_REG_BYTES		0x038
#define MCOPY_REG_SCRATCH	0x040

#define MCOPY_CTRL_ENABLE	0x1U
#define MCOPY_CTRL_RESET	0x2U

#define MCOPY_STATUS_BUSY	0x1U	/* work in the ring */
#define MCOPY_STATUS_HALTED	0x2U	/* the ring is unusable */

#define MCOPY_INT_DONE		0x1U	/* a descriptor with _DESC_INT */
#define MCOPY_INT_ERROR		0x2U	/* a descriptor with an error */
#define MCOPY_INT_HALTED	0x4U
#define MCOPY_INT_ALL		0x7U

#define MCOPY_RING_MAX		4096

/* Flags of a descriptor.  Others must be 0, or its status is _BAD. */
#define MCOPY_DESC_SRC_LOCAL	0x1U
#define MCOPY_DESC_DST_LOCAL	0x2U
#define MCOPY_DESC_INT		0x4U

/* Status of a descriptor. */
#define MCOPY_DESC_DONE		1U
#define MCOPY_DESC_BAD		2U	/* flags, or an address in device memory */
#define MCOPY_DESC_FAULT	3U	/* a DMA address could not be accessed */

/**
 * struct mcopy_desc - descriptor in the ring, in guest memory, little-endian
 * @src: address to copy from.
 * @dst: address to copy to.
 * @length: bytes; 0 copies nothing and is complete at once.
 * @flags: MCOPY_DESC_*.
 * @status: written by the device when done: MCOPY_DESC_DONE, _BAD or _FAULT.
 * @cookie: the driver's own; the device does not look at it.
 */
struct mcopy_desc {
	__le64 src;
	__le64 dst;
	__le32 length;
	__le32 flags;
	__le32 status;
	__le32 cookie;
};

#endif /* MCOPY_REGS_H */
