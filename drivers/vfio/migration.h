/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside vfio_migration.ko
 *
 * Order of locks
 *
 *	gate->lock		"the migration lock", see <linux/vfio_migration.h>
 *	  mmap_lock, and what a driver's operations take
 *	    log->lock		what the device wrote into guest memory
 *	    count->lock		the pending counter; a spinlock
 *	      gate->wait.lock	pollers of the data descriptor
 *
 * log->lock is taken by a driver's worker without the migration lock, because
 * whoever stops the device waits for that worker under it.
 */
#ifndef VFIO_MIGRATION_INTERNAL_H
#define VFIO_MIGRATION_INTERNAL_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/uio.h>
#include <linux/vfio_migration.h>
#include <linux/wait.h>

#include "compat_vfio.h"
#include "stream.h"

#define VFIO_MIGRATION_DATA_SIZE_MIN		(2 * PAGE_SIZE)
#define VFIO_MIGRATION_DATA_SIZE_MAX		((size_t)SZ_16M)
#define VFIO_MIGRATION_DATA_SIZE_DEFAULT	((size_t)SZ_1M)

/* What the end of a stream counts in the pending counter. */
#define VFIO_MIGRATION_END_COVERS sizeof(struct vfio_migration_section)

/**
 * struct vfio_migration_gate - the way from a data descriptor to its device
 * @ref: the device and each of its data descriptors hold one.
 * @lock: the migration lock.
 * @wait: pollers of data descriptors.
 * @mig: NULL once the device is gone; protected by @lock.
 */
struct vfio_migration_gate {
	struct kref ref;
	struct mutex lock; /* the migration lock */
	wait_queue_head_t wait;
	struct vfio_migration *mig;
};

/**
 * struct vfio_migration_stream - a stream being saved or loaded
 * @sequence: number of the next section.
 * @ended: saving: END was produced.  Loading: END was the last section.
 * @error: loading: why the stream was refused, or 0.
 * @length: bytes in @buf: of a section being read from the data descriptor, or
 *	of one that is being put together while loading.
 * @done: of these, how many were read.  Saving only.
 * @covers: bytes of state in the section in @buf.  Saving only.
 * @buf: room for the largest section.
 */
struct vfio_migration_stream {
	u32 sequence;
	bool ended;
	int error;
	size_t length;
	size_t done;
	u64 covers;
	u8 buf[sizeof(struct vfio_migration_section) + VFIO_MIGRATION_PIECE_MAX];
};

/* How far the device runs. */
enum vfio_migration_level {
	VFIO_MIGRATION_RUNS,
	VFIO_MIGRATION_NO_P2P,
	VFIO_MIGRATION_STOPPED,
};

/* What is open besides. */
enum vfio_migration_mode {
	VFIO_MIGRATION_IDLE,
	VFIO_MIGRATION_SAVES,
	VFIO_MIGRATION_LOADS,
	VFIO_MIGRATION_FAILED,
};

/* arcs.c: the state machine. */
enum vfio_migration_level
vfio_migration_level(enum vfio_device_mig_state state);
enum vfio_migration_mode vfio_migration_mode(enum vfio_device_mig_state state);
bool vfio_migration_begins(enum vfio_device_mig_state from,
			   enum vfio_device_mig_state to);
int vfio_migration_change_locked(struct vfio_migration *mig,
				 enum vfio_migration_abi abi,
				 enum vfio_device_mig_state to);

/* session.c: begin, count, end. */
int vfio_migration_save_begin_locked(struct vfio_migration *mig,
				     enum vfio_migration_abi abi,
				     enum vfio_device_mig_state to);
int vfio_migration_load_begin_locked(struct vfio_migration *mig,
				     enum vfio_migration_abi abi);
int vfio_migration_load_complete_locked(struct vfio_migration *mig);
void vfio_migration_end_locked(struct vfio_migration *mig);
void vfio_migration_stopped_locked(struct vfio_migration *mig);
u64 vfio_migration_pending(struct vfio_migration *mig);
void vfio_migration_read_done(struct vfio_migration *mig, u64 covers);
void vfio_migration_gate_put(struct vfio_migration_gate *gate);

/* stream.c: sections. */
ssize_t vfio_migration_stream_save_locked(struct vfio_migration *mig, void *buf,
					  size_t room, u64 *covers);
int vfio_migration_stream_load_locked(struct vfio_migration *mig,
				      struct iov_iter *from);

/* dma_log.c: what the device wrote into guest memory. */
struct vfio_migration_dma_log *vfio_migration_dma_log_alloc(void);
void vfio_migration_dma_log_reset(struct vfio_migration_dma_log *log);
void vfio_migration_dma_log_free(struct vfio_migration_dma_log *log);

#endif /* VFIO_MIGRATION_INTERNAL_H */
