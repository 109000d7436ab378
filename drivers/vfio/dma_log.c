// SPDX-License-Identifier: GPL-2.0
/*
 * DMA logging: which pages of guest memory the device has written (V8)
 *
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_*.  A sparse bitmap with a bit for each page
 * of the address space, in units that are allocated when they are first needed.
 * If one cannot be allocated, everything is reported as written until logging
 * is stopped: too much is slow, too little is a guest with wrong memory.
 *
 * The log has a lock of its own and takes it for every write of the device,
 * logging or not.  A look at a flag instead would have to be ordered after the
 * write it is about, against a user who switches logging on and then copies.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "migration.h"

#define UNIT_BITS	(PAGE_SIZE * BITS_PER_BYTE)

/**
 * struct vfio_migration_dma_log - what the device wrote
 * @lock: protects all members.
 * @on: between log_start and log_stop.
 * @all: a bit was lost for want of memory.
 * @nr_ranges: in @ranges.
 * @ranges: the page numbers that the user wants to be logged.
 * @units: bitmaps of UNIT_BITS pages each.
 */
struct vfio_migration_dma_log {
	struct mutex lock; /* all members */
	bool on;
	bool all;
	u32 nr_ranges;
	struct {
		unsigned long first;
		unsigned long last;
	} *ranges;
	struct xarray units;
};

struct vfio_migration_dma_log *vfio_migration_dma_log_alloc(void)
{
	struct vfio_migration_dma_log *log = kzalloc_obj(*log, GFP_KERNEL);

	if (log) {
		mutex_init(&log->lock);
		xa_init(&log->units);
	}
	return log;
}

static void stop_locked(struct vfio_migration_dma_log *log)
{
	unsigned long index;
	void *unit;

	lockdep_assert_held(&log->lock);
	xa_for_each(&log->units, index, unit)
		kfree(unit);
	xa_destroy(&log->units);
	kfree(log->ranges);
	log->ranges = NULL;
	log->nr_ranges = 0;
	log->on = false;
	log->all = false;
}

/* As after allocation.  NULL is no log. */
void vfio_migration_dma_log_reset(struct vfio_migration_dma_log *log)
{
	if (!log)
		return;
	guard(mutex)(&log->lock);
	stop_locked(log);
}

void vfio_migration_dma_log_free(struct vfio_migration_dma_log *log)
{
	if (!log)
		return;
	vfio_migration_dma_log_reset(log);
	mutex_destroy(&log->lock);
	kfree(log);
}

/* Marks pages @first to @last, both inside a range. */
static void mark_locked(struct vfio_migration_dma_log *log,
			unsigned long first, unsigned long last)
{
	while (!log->all) {
		unsigned long index = first / UNIT_BITS;
		unsigned long bit = first % UNIT_BITS;
		unsigned long count = min(UNIT_BITS - bit, last - first + 1);
		unsigned long *unit = xa_load(&log->units, index);

		if (!unit) {
			unit = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
			if (!unit || xa_err(xa_store(&log->units, index, unit,
						     GFP_KERNEL_ACCOUNT))) {
				kfree(unit);
				log->all = true;
				return;
			}
		}
		bitmap_set(unit, bit, count);
		if (count > last - first)
			return;
		first += count;
	}
}

void vfio_migration_dma_written(struct vfio_migration *mig, u64 iova, u64 len)
{
	struct vfio_migration_dma_log *log = mig->log;
	unsigned long first = iova >> PAGE_SHIFT;
	unsigned long last = (iova + len - 1) >> PAGE_SHIFT;
	u32 i;

	if (!log)
		return;
	guard(mutex)(&log->lock);
	for (i = 0; i < log->nr_ranges; i++)
		if (first <= log->ranges[i].last && last >= log->ranges[i].first)
			mark_locked(log, max(first, log->ranges[i].first),
				    min(last, log->ranges[i].last));
}
EXPORT_SYMBOL_GPL(vfio_migration_dma_written);

/**
 * vfio_migration_log_start() - VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @mig: the migration of an open device.
 * @ranges: DMA addresses; checked by the VFIO core.
 * @nnodes: how many.
 * @page_size: what the user would like; is set to what it gets, PAGE_SIZE.
 *
 * Return: 0, -EBUSY if logging is on, -ENOMEM.
 */
int vfio_migration_log_start(struct vfio_migration *mig,
			     struct rb_root_cached *ranges, u32 nnodes,
			     u64 *page_size)
{
	struct vfio_migration_dma_log *log = mig->log;
	struct interval_tree_node *node;
	u32 i = 0;

	guard(mutex)(&log->lock);
	if (log->on)
		return -EBUSY;
	log->ranges = kcalloc(nnodes, sizeof(*log->ranges), GFP_KERNEL_ACCOUNT);
	if (!log->ranges)
		return -ENOMEM;
	for (node = interval_tree_iter_first(ranges, 0, ULONG_MAX);
	     node && i < nnodes;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX), i++) {
		log->ranges[i].first = node->start >> PAGE_SHIFT;
		log->ranges[i].last = node->last >> PAGE_SHIFT;
	}
	log->nr_ranges = i;
	log->on = true;
	*page_size = PAGE_SIZE;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_log_start);

/**
 * vfio_migration_log_stop() - VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
 * @mig: the migration of an open device.
 *
 * Return: 0, also if logging is off.
 */
int vfio_migration_log_stop(struct vfio_migration *mig)
{
	vfio_migration_dma_log_reset(mig->log);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_log_stop);

/**
 * vfio_migration_log_report() - VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @mig: the migration of an open device.
 * @iova: DMA address.
 * @length: bytes.
 * @dirty: bits are set in it for what was written since the last report, and
 *	the log forgets that.
 *
 * Return: 0, or -EINVAL if logging is off.
 */
int vfio_migration_log_report(struct vfio_migration *mig, unsigned long iova,
			      unsigned long length, struct iova_bitmap *dirty)
{
	struct vfio_migration_dma_log *log = mig->log;
	unsigned long first = iova >> PAGE_SHIFT;
	unsigned long last = (iova + length - 1) >> PAGE_SHIFT;
	unsigned long index, *unit;

	guard(mutex)(&log->lock);
	if (!log->on)
		return -EINVAL;
	if (log->all) {
		iova_bitmap_set(dirty, iova, length);
		return 0;
	}
	xa_for_each_range(&log->units, index, unit, first / UNIT_BITS,
			  last / UNIT_BITS) {
		unsigned long base = index * UNIT_BITS;
		unsigned long bit = first > base ? first - base : 0;
		unsigned long end = min(last - base, UNIT_BITS - 1) + 1;

		for_each_set_bit_from(bit, unit, end) {
			unsigned long start = (base + bit) << PAGE_SHIFT;

			/* Not beyond what was asked for. */
			iova_bitmap_set(dirty, max(start, iova),
					min(start + PAGE_SIZE - 1,
					    iova + length - 1) -
					max(start, iova) + 1);
			__clear_bit(bit, unit);
		}
	}
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_log_report);
