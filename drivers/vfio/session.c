// SPDX-License-Identifier: GPL-2.0
/*
 * Sessions and loads, the pending counter, and the life of a migration object
 *
 * The counter (V2) is two numbers: what is unsent, in the driver's hands, and
 * what is taken, in a piece that the user has not read to its end.  The driver
 * adds to the first as its state changes; ->save moves bytes from the first to
 * the second; the user's reading takes them from the second.  What is never
 * done is to count on one side before it has been counted off on the other, in
 * one critical section: the sum never dips to 0 while something is left.
 */
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/vmalloc.h>

#include "migration.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static void gate_free(struct kref *ref)
{
	struct vfio_migration_gate *gate =
		container_of(ref, struct vfio_migration_gate, ref);

	mutex_destroy(&gate->lock);
	kfree(gate);
}

void vfio_migration_gate_put(struct vfio_migration_gate *gate)
{
	kref_put(&gate->ref, gate_free);
}

/* Opens the counter: @unsent bytes are in the driver's hands. */
static void count_begin(struct vfio_migration *mig, u64 unsent)
{
	struct vfio_migration_count *count = &mig->count;

	spin_lock(&count->lock);
	count->unsent = unsent;
	count->taken = 0;
	count->initial = unsent;
	count->active = true;
	count->reinit = false;
	spin_unlock(&count->lock);
}

static void count_end(struct vfio_migration *mig)
{
	struct vfio_migration_count *count = &mig->count;

	spin_lock(&count->lock);
	count->unsent = 0;
	count->taken = 0;
	count->initial = 0;
	count->active = false;
	count->reinit = false;
	spin_unlock(&count->lock);
}

/* Bytes of state that the user has not read.  A snapshot, of course. */
u64 vfio_migration_pending(struct vfio_migration *mig)
{
	struct vfio_migration_count *count = &mig->count;
	u64 pending;

	spin_lock(&count->lock);
	pending = max(count->unsent, 0) + count->taken;
	spin_unlock(&count->lock);
	return pending;
}

/* The user has read a piece, or acknowledged a chunk. */
void vfio_migration_read_done(struct vfio_migration *mig, u64 covers)
{
	struct vfio_migration_count *count = &mig->count;

	spin_lock(&count->lock);
	count->taken -= covers;
	count->initial -= min(count->initial, covers);
	spin_unlock(&count->lock);
}

void vfio_migration_dirtied(struct vfio_migration *mig, u64 bytes)
{
	struct vfio_migration_count *count = &mig->count;

	spin_lock(&count->lock);
	if (count->active) {
		count->unsent += bytes;
		if (wq_has_sleeper(&mig->gate->wait))
			wake_up_poll(&mig->gate->wait, EPOLLIN | EPOLLRDNORM);
	}
	spin_unlock(&count->lock);
}
EXPORT_SYMBOL_GPL(vfio_migration_dirtied);

void vfio_migration_reinit(struct vfio_migration *mig)
{
	spin_lock(&mig->count.lock);
	mig->count.reinit = mig->count.active;
	spin_unlock(&mig->count.lock);
}
EXPORT_SYMBOL_GPL(vfio_migration_reinit);

/* A session finds the device stopped: count what exists only now. */
void vfio_migration_stopped_locked(struct vfio_migration *mig)
{
	const struct vfio_migration_driver *driver = mig->driver;
	u64 bytes = driver->final_size(mig) + VFIO_MIGRATION_END_COVERS;

	lockdep_assert_held(&mig->gate->lock);
	if (!driver->log_on)
		bytes += driver->size(mig);
	vfio_migration_dirtied(mig, bytes);
}

int vfio_migration_save_begin_locked(struct vfio_migration *mig,
				     enum vfio_migration_abi abi,
				     enum vfio_device_mig_state to)
{
	const struct vfio_migration_driver *driver = mig->driver;
	int ret;

	lockdep_assert_held(&mig->gate->lock);
	mig->stream = kvzalloc_obj(*mig->stream, GFP_KERNEL_ACCOUNT);
	if (!mig->stream)
		return -ENOMEM;
	count_begin(mig, driver->log_on ? driver->size(mig) : 0);
	if (driver->log_on) {
		ret = driver->log_on(mig);
		if (ret) {
			count_end(mig);
			kvfree(mig->stream);
			mig->stream = NULL;
			return ret;
		}
	}
	mig->abi = abi;
	if (vfio_migration_level(to) == VFIO_MIGRATION_STOPPED)
		vfio_migration_stopped_locked(mig);
	return 0;
}

int vfio_migration_load_begin_locked(struct vfio_migration *mig,
				     enum vfio_migration_abi abi)
{
	lockdep_assert_held(&mig->gate->lock);
	mig->stream = kvzalloc_obj(*mig->stream, GFP_KERNEL_ACCOUNT);
	if (!mig->stream)
		return -ENOMEM;
	mig->abi = abi;
	return 0;
}

/*
 * A stream that was refused, or is not complete, leaves the load open: the
 * device must not run with half of it (V9).
 */
int vfio_migration_load_complete_locked(struct vfio_migration *mig)
{
	struct vfio_migration_stream *stream = mig->stream;
	int ret;

	lockdep_assert_held(&mig->gate->lock);
	if (stream->error)
		return stream->error;
	if (!stream->ended || stream->length)
		return -EINVAL;
	ret = mig->driver->load_complete(mig);
	if (ret) {
		stream->error = ret;
		return ret;
	}
	vfio_migration_end_locked(mig);
	return 0;
}

/**
 * vfio_migration_end_locked() - end what is open
 * @mig: the migration.
 *
 * Afterwards data descriptors are stale, the region's chunk is gone and its data
 * section holds nothing of it (V4).
 */
void vfio_migration_end_locked(struct vfio_migration *mig)
{
	lockdep_assert_held(&mig->gate->lock);
	if (mig->abi == VFIO_MIGRATION_ABI_NONE)
		return;
	count_end(mig);
	if (vfio_migration_mode(mig->state) == VFIO_MIGRATION_SAVES &&
	    mig->driver->log_off)
		mig->driver->log_off(mig);
	kvfree(mig->stream);
	mig->stream = NULL;
	if (mig->abi == VFIO_MIGRATION_ABI_REGION)
		memset(mig->section, 0, mig->data_size);
	mig->chunk_ready = false;
	mig->chunk_sized = false;
	mig->file = NULL;
	mig->abi = VFIO_MIGRATION_ABI_NONE;
	wake_up_all(&mig->gate->wait);
}

int vfio_migration_reset(struct vfio_migration *mig)
{
	int ret;

	if (mutex_lock_killable(&mig->gate->lock))
		return -EINTR;
	/* First the driver: if it cannot, nothing has changed. */
	ret = mig->driver->reset(mig);
	trace_vfio_migration_arc(mig, VFIO_DEVICE_STATE_RUNNING, ret);
	if (!ret) {
		vfio_migration_end_locked(mig);
		mig->state = VFIO_DEVICE_STATE_RUNNING;
	}
	mutex_unlock(&mig->gate->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_migration_reset);

int vfio_migration_open(struct vfio_migration *mig)
{
	void *section;

	guard(mutex)(&mig->gate->lock);
	section = vmalloc_user(mig->next_data_size);
	if (!section)
		return -ENOMEM;
	mig->section = section;
	mig->data_size = mig->next_data_size;
	mig->state = VFIO_DEVICE_STATE_RUNNING;
	mig->open = true;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_open);

void vfio_migration_close(struct vfio_migration *mig)
{
	guard(mutex)(&mig->gate->lock);
	vfio_migration_end_locked(mig);
	mig->state = VFIO_DEVICE_STATE_RUNNING;
	mig->open = false;
	/* Mappings of it keep the device open: there is none now. */
	vfree(mig->section);
	mig->section = NULL;
	vfio_migration_dma_log_reset(mig->log);
}
EXPORT_SYMBOL_GPL(vfio_migration_close);

ssize_t vfio_migration_data_size_show(struct vfio_migration *mig, char *buf)
{
	return sysfs_emit(buf, "%zu\n", READ_ONCE(mig->next_data_size));
}
EXPORT_SYMBOL_GPL(vfio_migration_data_size_show);

ssize_t vfio_migration_data_size_store(struct vfio_migration *mig,
				       const char *buf, size_t len)
{
	unsigned long size;
	int ret;

	ret = kstrtoul(buf, 0, &size);
	if (ret)
		return ret;
	if (!PAGE_ALIGNED(size) || size < VFIO_MIGRATION_DATA_SIZE_MIN ||
	    size > VFIO_MIGRATION_DATA_SIZE_MAX)
		return -EINVAL;
	guard(mutex)(&mig->gate->lock);
	if (mig->open)
		return -EBUSY;
	WRITE_ONCE(mig->next_data_size, size);
	return len;
}
EXPORT_SYMBOL_GPL(vfio_migration_data_size_store);

static bool driver_is_complete(const struct vfio_migration_driver *driver)
{
	return driver->name && strlen(driver->name) <
			sizeof_field(struct vfio_migration_header, name) &&
	       driver->size && driver->final_size &&
	       !driver->log_on == !driver->log_off &&
	       !driver->quiesce == !driver->unquiesce &&
	       driver->stop && driver->start && driver->save &&
	       driver->load_begin && driver->load && driver->load_complete &&
	       driver->reset;
}

int vfio_migration_init(struct vfio_migration *mig, struct vfio_device *vdev,
			const struct vfio_migration_driver *driver,
			const struct vfio_migration_ops *mig_ops,
			const struct vfio_log_ops *log_ops)
{
	struct vfio_migration_gate *gate;

	if (WARN_ON(!driver_is_complete(driver)))
		return -EINVAL;
	gate = kzalloc_obj(*gate, GFP_KERNEL);
	if (!gate)
		return -ENOMEM;
	/*
	 * Without CONFIG_IOMMUFD_DRIVER the VFIO core cannot report what is
	 * logged, so logging must not be offered either (V8).
	 */
	if (IS_ENABLED(CONFIG_IOMMUFD_DRIVER)) {
		mig->log = vfio_migration_dma_log_alloc();
		if (!mig->log) {
			kfree(gate);
			return -ENOMEM;
		}
		vdev->log_ops = log_ops;
	}
	kref_init(&gate->ref);
	mutex_init(&gate->lock);
	init_waitqueue_head(&gate->wait);
	gate->mig = mig;

	spin_lock_init(&mig->count.lock);
	mig->vdev = vdev;
	mig->driver = driver;
	mig->gate = gate;
	mig->next_data_size = VFIO_MIGRATION_DATA_SIZE_DEFAULT;
	mig->state = VFIO_DEVICE_STATE_RUNNING;

	vdev->mig_ops = mig_ops;
	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY;
	if (driver->quiesce)
		vdev->migration_flags |= VFIO_MIGRATION_P2P;
	if (driver->log_on)
		vdev->migration_flags |= VFIO_MIGRATION_PRE_COPY;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_init);

void vfio_migration_destroy(struct vfio_migration *mig)
{
	struct vfio_migration_gate *gate = mig->gate;

	mutex_lock(&gate->lock);
	gate->mig = NULL;
	mutex_unlock(&gate->lock);
	vfio_migration_dma_log_free(mig->log);
	vfio_migration_gate_put(gate);
}
EXPORT_SYMBOL_GPL(vfio_migration_destroy);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Migration of emulated and mediated VFIO devices");
MODULE_VERSION("1.0.0");
COMPAT_IMPORT_NS(IOMMUFD);
