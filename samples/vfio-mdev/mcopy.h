/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mcopy, a sample device that can be migrated: internal definitions
 *
 * mcopy_regs.h says what the device is.  The files:
 *
 *	main.c		mediated devices, the VFIO device and its regions
 *	config.c	PCI config space
 *	regs.c		registers
 *	irq.c		interrupts
 *	dma.c		the engine
 *	memory.c	device memory and its dirty tracking
 *	state.c		what is migrated: the operations for vfio_migration
 *
 * Order of locks
 *
 *	the migration lock	see <linux/vfio_migration.h>
 *	  reset_mutex		resets
 *	  irq_mutex		who changes the user's interrupt setup
 *	    lock of a page	around mapping it writable, and around taking it
 *	      i_mmap_rwsem	in unmapping it
 *	      memory.lock	page marks; a spinlock
 *	  lock			registers, config space, interrupts, the engine's
 *				position; a spinlock.  Signals eventfds
 *
 * The two spinlocks do not nest.  The engine's worker takes no lock around an
 * access to guest memory, for that can fault on this device's own memory, or
 * wait in userfaultfd for as long as it likes.
 */
#ifndef MCOPY_H
#define MCOPY_H

#include <linux/eventfd.h>
#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio_migration.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat_vfio.h"
#include "mcopy_regs.h"

#define MCOPY_CONFIG_SIZE	256

static_assert(MCOPY_MIGRATION_REGION == VFIO_PCI_NUM_REGIONS);
static_assert(sizeof(struct mcopy_desc) == 32);
static_assert(offsetof(struct mcopy_desc, status) == 24);

/**
 * struct mcopy_regs - registers, see mcopy_regs.h; protected by mcopy->lock
 * @ring_base: RING_BASE.
 * @bytes: BYTES.
 * @scratch: SCRATCH.
 * @ctrl: CTRL.
 * @halted: STATUS.HALTED.
 * @int_status: INT_STATUS.
 * @int_enable: INT_ENABLE.
 * @ring_size: RING_SIZE.
 * @head: RING_HEAD.
 * @tail: RING_TAIL.
 */
struct mcopy_regs {
	u64 ring_base;
	u64 bytes;
	u64 scratch;
	u32 ctrl;
	bool halted;
	u32 int_status;
	u32 int_enable;
	u32 ring_size;
	u32 head;
	u32 tail;
};

/* Why the engine must not run. */
#define MCOPY_HOLD_P2P		BIT(0)	/* no DMA that could reach a peer */
#define MCOPY_HOLD_STOP		BIT(1)	/* the device is stopped */
#define MCOPY_HOLD_RESET	BIT(2)	/* it is being reset */

/**
 * struct mcopy_engine - where the engine is
 * @work: one run of it.
 * @idle: woken when @busy is cleared.
 * @page: what is being copied passes through here.  The worker's own.
 *
 * The rest is protected by mcopy->lock.
 * @hold: MCOPY_HOLD_*.
 * @busy: a step is in progress, without the lock.
 * @generation: counts the times that @desc was dropped; a step that began
 *	before then has no result.
 * @fetched: @desc is descriptor RING_HEAD of the ring.
 * @desc: read once, and checked.
 * @done: bytes of it copied.
 * @status: with which it is to be completed; 0 while it is being copied.
 */
struct mcopy_engine {
	struct work_struct work;
	wait_queue_head_t idle;
	void *page;

	unsigned long hold;
	bool busy;
	unsigned int generation;
	bool fetched;
	struct mcopy_desc desc;
	u32 done;
	u32 status;
};

enum mcopy_irq_index {
	MCOPY_IRQ_INTX,
	MCOPY_IRQ_MSI,
	MCOPY_IRQ_REQ,
	MCOPY_IRQ_NR,
};

/**
 * struct mcopy_irq - the user's interrupt setup; not migrated
 * @trigger: an eventfd for each kind; protected by mcopy->lock.
 * @masked: INTx masked by the user; protected by mcopy->lock.
 * @automasked: INTx masked by having been signalled; protected by mcopy->lock.
 * @silent: the device is stopped; protected by mcopy->lock.
 * @unmask: eventfd that unmasks INTx; protected by mcopy->irq_mutex.
 */
struct mcopy_irq {
	struct eventfd_ctx *trigger[MCOPY_IRQ_NR];
	bool masked;
	bool automasked;
	bool silent;
	struct virqfd *unmask;
};

/**
 * struct mcopy_memory - device memory
 * @nr_pages: constant.
 * @pages: filled as they are first needed, then constant; NULL is a zero page.
 * @lock: protects what follows.
 * @logging: a session is open.
 * @unsent: a bit for each page that is to be sent.  While loading: that is to
 *	be received.
 * @cursor: where to look for the next one.
 * @device_unsent: the rest of the state is to be sent, or received.
 */
struct mcopy_memory {
	unsigned long nr_pages;
	struct page **pages;

	spinlock_t lock; /* what follows */
	bool logging;
	unsigned long *unsent;
	unsigned long cursor;
	bool device_unsent;
};

/**
 * struct mcopy - a device
 * @vdev: must be first, see vfio_alloc_device().
 * @mig: its migration.
 * @memory: its memory.
 * @irq_mutex: serialises changes to @irq.
 * @reset_mutex: one reset at a time, the user's or the guest's.
 * @lock: protects @regs, @config, and parts of @irq and @engine.
 * @regs: its registers.
 * @config: its config space.
 * @config_mask: bits of it that can be written; constant.
 * @irq: its interrupts.
 * @engine: its engine.
 * @loaded: the state came from a stream, and was not started yet; protected by
 *	the migration lock.
 */
struct mcopy {
	struct vfio_device vdev;
	struct vfio_migration mig;
	struct mcopy_memory memory;
	struct mutex irq_mutex; /* changes to irq */
	struct mutex reset_mutex; /* one reset at a time */
	spinlock_t lock; /* see above */
	struct mcopy_regs regs;
	u8 config[MCOPY_CONFIG_SIZE];
	u8 config_mask[MCOPY_CONFIG_SIZE];
	struct mcopy_irq irq;
	struct mcopy_engine engine;
	bool loaded;
};

static inline u64 mcopy_memory_size(const struct mcopy *m)
{
	return (u64)m->memory.nr_pages << PAGE_SHIFT;
}

/* config.c */
void mcopy_config_init(struct mcopy *m);
void mcopy_config_reset_locked(struct mcopy *m);
void mcopy_config_read(struct mcopy *m, unsigned int offset, u8 *buf,
		       size_t len);
void mcopy_config_write(struct mcopy *m, unsigned int offset, const u8 *buf,
			size_t len);
u16 mcopy_config_command_locked(const struct mcopy *m);

/* regs.c */
void mcopy_regs_reset_locked(struct mcopy *m);
void mcopy_regs_read(struct mcopy *m, unsigned int offset, u8 *buf, size_t len);
int mcopy_regs_write(struct mcopy *m, unsigned int offset, const u8 *buf,
		     size_t len);
bool mcopy_ring_legal(u64 base, u32 size);

/* irq.c */
void mcopy_irq_raise_locked(struct mcopy *m, u32 bits);
void mcopy_irq_update_locked(struct mcopy *m, bool message);
long mcopy_irq_info(struct vfio_irq_info __user *arg);
long mcopy_irq_set(struct mcopy *m, struct vfio_irq_set __user *arg);
void mcopy_irq_request(struct mcopy *m);
void mcopy_irq_close(struct mcopy *m);

/* dma.c */
bool mcopy_desc_legal(const struct mcopy *m, const struct mcopy_desc *desc);
void mcopy_engine_init(struct mcopy *m);
int mcopy_engine_open(struct mcopy *m);
void mcopy_engine_close(struct mcopy *m);
void mcopy_engine_kick_locked(struct mcopy *m);
bool mcopy_engine_has_work_locked(const struct mcopy *m);
void mcopy_engine_drop_locked(struct mcopy *m);
int mcopy_engine_hold(struct mcopy *m, unsigned long why);
void mcopy_engine_release(struct mcopy *m, unsigned long why);
int mcopy_dma_setup(void);
void mcopy_dma_teardown(void);

/* memory.c */
int mcopy_memory_open(struct mcopy *m);
void mcopy_memory_close(struct mcopy *m);
int mcopy_memory_mmap(struct mcopy *m, struct vm_area_struct *vma,
		      unsigned long pgoff);
int mcopy_memory_copy(struct mcopy *m, u64 offset, void *buf, size_t len,
		      bool write);
void mcopy_memory_clear(struct mcopy *m);
void mcopy_memory_log(struct mcopy *m, bool on);
int mcopy_memory_save(struct mcopy *m, struct vfio_migration_piece *piece,
		      void *buf, size_t room, bool stopped);
void mcopy_memory_load_begin(struct mcopy *m);
int mcopy_memory_load(struct mcopy *m, const struct vfio_migration_piece *piece,
		      const void *buf);
bool mcopy_memory_load_complete(struct mcopy *m);
void mcopy_memory_device_dirtied(struct mcopy *m);
bool mcopy_memory_device_take(struct mcopy *m);

/* state.c */
extern const struct vfio_migration_driver mcopy_migration_driver;
int mcopy_soft_reset(struct mcopy *m);

/* Pieces in the stream.  Little-endian. */
enum mcopy_piece {
	MCOPY_PIECE_PAGES = 1,	/* arg: offset; payload: pages */
	MCOPY_PIECE_ZERO = 2,	/* arg: offset; payload: __le64 bytes */
	MCOPY_PIECE_DEVICE = 3,	/* payload: struct mcopy_state */
};

/**
 * struct mcopy_state - all but the memory
 * @ring_base: RING_BASE.
 * @bytes: BYTES.
 * @scratch: SCRATCH.
 * @ctrl: CTRL.
 * @halted: STATUS.HALTED, 0 or 1.
 * @int_status: INT_STATUS.
 * @int_enable: INT_ENABLE.
 * @ring_size: RING_SIZE.
 * @head: RING_HEAD.
 * @tail: RING_TAIL.
 * @fetched: 1 if descriptor @head is in work.
 * @done: bytes of it copied.
 * @status: with which it is to be completed, or 0.
 * @desc: it.
 * @config: config space.
 */
struct mcopy_state {
	__le64 ring_base;
	__le64 bytes;
	__le64 scratch;
	__le32 ctrl;
	__le32 halted;
	__le32 int_status;
	__le32 int_enable;
	__le32 ring_size;
	__le32 head;
	__le32 tail;
	__le32 fetched;
	__le32 done;
	__le32 status;
	struct mcopy_desc desc;
	u8 config[MCOPY_CONFIG_SIZE];
};

static_assert(sizeof(struct mcopy_state) == 352);

#endif /* MCOPY_H */
