/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration of VFIO devices, for drivers of emulated and mediated devices
 *
 * A driver embeds struct vfio_migration in its device's structure, fills in
 * struct vfio_migration_driver, and calls the functions below from its own
 * callbacks.  It writes its own state and nothing else: the states and their
 * arcs, the session, the counter, the stream and its checks, and both ABIs (the
 * region of <uapi/linux/vfio_migration_region.h> and the device features of
 * <uapi/linux/vfio.h>) are in the module vfio_migration.
 * Documentation/vfio-migration.rst has a worked example.
 *
 * Who locks what
 * ==============
 *
 * There is one lock per device, inside the helper: "the migration lock", a
 * mutex.  It serialises the users of both ABIs, and every operation of struct
 * vfio_migration_driver is called under it, in process context.  It is held
 * while user memory is accessed, so it ranks before mmap_lock: a driver's fault
 * handler, and everything that such a handler waits for, must not call a
 * function that takes it.  The same holds for what an operation waits for, for
 * example a worker that ->quiesce waits for.
 *
 *	takes the migration lock, may sleep
 *		open, close, reset, region_read, region_write, and the functions
 *		of VFIO_MIGRATION_DEFINE_OPS; the attribute
 *	may sleep, does not take it
 *		region_info, region_mmap, dma_written
 *	any context in which a spinlock may be taken (not from interrupts)
 *		dirtied, reinit
 */
#ifndef _LINUX_VFIO_MIGRATION_H
#define _LINUX_VFIO_MIGRATION_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>

struct vfio_migration;
struct vfio_migration_gate;
struct vfio_migration_dma_log;
struct vfio_migration_stream;

/* Every piece of this size or smaller finds room, whatever the user chose. */
#define VFIO_MIGRATION_PIECE_MIN	PAGE_SIZE
/* No piece is larger. */
#define VFIO_MIGRATION_PIECE_MAX	(16 * PAGE_SIZE)

/**
 * struct vfio_migration_piece - a piece of a device's state in the stream
 * @kind: the driver's; tells its load operation what it is.
 * @arg: the driver's, for example an offset in the device's memory.
 * @length: bytes of data, at most VFIO_MIGRATION_PIECE_MAX; may be 0.
 * @covers: bytes of state that are sent by it, in the unit of the operations
 *	size and final_size: pages in full.  Saving only; greater than 0.
 */
struct vfio_migration_piece {
	u16 kind;
	u64 arg;
	u32 length;
	u64 covers;
};

/**
 * struct vfio_migration_driver - what a driver supplies
 *
 * All operations are called under the migration lock and may sleep.  Those that
 * return int return 0 or a negative errno, which reaches the user.
 *
 * @name: of the kind of device, at most 31 characters.  Only a device with the
 *	same name loads its stream.
 * @version: of the format of the driver's pieces.  Only the same one is loaded.
 * @size: bytes of state that can be sent while the device runs.  Constant.
 * @final_size: bytes of state that exists only once it is stopped.  Constant.
 * @log_on: begin to track what is written to the state of @size; all of it is
 *	unsent now.  From then on the driver calls vfio_migration_dirtied().
 *	The device can be running or stopped.  -ENOMEM is for here.
 * @log_off: stop tracking.  Cannot fail.
 *	Both or neither.  Without them the device offers no PRE_COPY, its
 *	counter is 0 until it is stopped, and everything is sent then.
 * @quiesce: end all DMA that could reach a peer, and begin none.  Waits for
 *	what is in progress; if the wait is killed, undo and return -EINTR.
 *	Without it there is no P2P, and @stop does all.
 * @unquiesce: the reverse.  Cannot fail.  Goes with @quiesce.
 * @stop: the device does nothing of its own any more: no DMA, no interrupt, no
 *	change to its state.  Called after @quiesce.  Can fail with -EINTR, as
 *	@quiesce.
 * @start: the reverse.  Cannot fail.  After a load it finds the new state, and
 *	raises again the interrupts that are pending.
 * @save: produce the next piece.  Fill in @piece, write its data to @buf, which
 *	has room for @room bytes (VFIO_MIGRATION_PIECE_MIN or more), and return
 *	1; or return 0 if nothing is unsent.  The snapshot must be sent once as
 *	a whole before anything is sent a second time.  @stopped says that the
 *	device is stopped, so that the state of @final_size is wanted too, after
 *	the rest.  May be called again after it returned 0.
 * @load_begin: a load begins, maybe not for the first time.  Called stopped.
 * @load: take a piece.  Its contents are as hostile as any user's, but its
 *	@length and its checksum have been checked.  -EINVAL if the device
 *	cannot have this state.  What the user does to the device afterwards,
 *	through config space for instance, must survive @load_complete.
 * @load_complete: the stream is complete; -EINVAL if pieces are missing.
 * @reset: make the device as it is after power on, and running.  It can be in
 *	any state, a half-loaded one too.  -EINTR if killed, nothing has changed
 *	then.
 */
struct vfio_migration_driver {
	const char *name;
	u32 version;

	u64 (*size)(struct vfio_migration *mig);
	u64 (*final_size)(struct vfio_migration *mig);

	int (*log_on)(struct vfio_migration *mig);
	void (*log_off)(struct vfio_migration *mig);

	int (*quiesce)(struct vfio_migration *mig);
	void (*unquiesce)(struct vfio_migration *mig);
	int (*stop)(struct vfio_migration *mig);
	void (*start)(struct vfio_migration *mig);

	int (*save)(struct vfio_migration *mig,
		    struct vfio_migration_piece *piece,
		    void *buf, size_t room, bool stopped);

	int (*load_begin)(struct vfio_migration *mig);
	int (*load)(struct vfio_migration *mig,
		    const struct vfio_migration_piece *piece, const void *buf);
	int (*load_complete)(struct vfio_migration *mig);

	int (*reset)(struct vfio_migration *mig);
};

/* Who has the session. */
enum vfio_migration_abi {
	VFIO_MIGRATION_ABI_NONE,
	VFIO_MIGRATION_ABI_REGION,
	VFIO_MIGRATION_ABI_FEATURE,
};

/**
 * struct vfio_migration_count - bytes of state that are to be read
 * @lock: protects all members.  Innermost: nothing is taken under it but the
 *	lock of the queue that pollers wait in.  A driver may hold a spinlock of
 *	its own around vfio_migration_dirtied().
 * @unsent: in the driver, not in any piece yet.
 * @taken: in a piece, not read by the user yet.
 * @initial: of both together, what has never been sent in this session.
 * @active: a session is open, and the end of its stream was not produced yet.
 * @reinit: the snapshot began anew, and the user was not told.
 */
struct vfio_migration_count {
	spinlock_t lock; /* all members */
	s64 unsent;
	u64 taken;
	u64 initial;
	bool active;
	bool reinit;
};

/**
 * struct vfio_migration - a device's migration, embedded in the driver's structure
 *
 * The members are the helper's own.
 *
 * @vdev: the device.
 * @driver: its operations.
 * @gate: holds the migration lock; outlives the device if a data descriptor
 *	does.
 * @log: what the device wrote into guest memory, or NULL.
 * @count: the pending counter, with a lock of its own.
 * @data_size: bytes in the region's data section while the device is open.
 * @next_data_size: bytes in it from the next open on.
 * @region_pgoff: page offset of the region in the device's descriptor; set by
 *	every mapping, to the same value.
 *
 * The rest is protected by the migration lock.
 * @state: in terms of version 2.
 * @abi: whose session or load is open.
 * @open: between vfio_migration_open() and vfio_migration_close().
 * @file: the data descriptor of version 2, if one is in use.
 * @stream: what is being saved or loaded, or NULL.
 * @section: the region's data section.
 * @chunk: bytes of the chunk in it, if @chunk_ready.
 * @chunk_covers: bytes of state in the chunk.
 * @chunk_ready: there is a chunk that was not acknowledged.
 * @chunk_sized: its size was read.
 */
struct vfio_migration {
	struct vfio_device *vdev;
	const struct vfio_migration_driver *driver;
	struct vfio_migration_gate *gate;
	struct vfio_migration_dma_log *log;
	struct vfio_migration_count count;
	size_t data_size;
	size_t next_data_size;
	unsigned long region_pgoff;

	enum vfio_device_mig_state state;
	enum vfio_migration_abi abi;
	bool open;
	struct file *file;
	struct vfio_migration_stream *stream;
	void *section;
	size_t chunk;
	u64 chunk_covers;
	bool chunk_ready;
	bool chunk_sized;
};

/**
 * vfio_migration_init() - set up the migration of a device
 * @mig: embedded in the driver's structure, zeroed.
 * @vdev: the device, allocated and not yet registered.
 * @driver: the driver's operations.
 * @mig_ops: from VFIO_MIGRATION_DEFINE_OPS.
 * @log_ops: from VFIO_MIGRATION_DEFINE_OPS; offered to the VFIO core only if
 *	the kernel can report dirty DMA (CONFIG_IOMMUFD_DRIVER).
 *
 * Typically called in vfio_device_ops::init.  Sets the device's mig_ops,
 * log_ops and migration_flags.
 *
 * Return: 0, -ENOMEM, or -EINVAL if @driver lacks something.
 */
int vfio_migration_init(struct vfio_migration *mig, struct vfio_device *vdev,
			const struct vfio_migration_driver *driver,
			const struct vfio_migration_ops *mig_ops,
			const struct vfio_log_ops *log_ops);

/**
 * vfio_migration_destroy() - undo vfio_migration_init()
 * @mig: the migration; its device is closed.
 *
 * Typically called in vfio_device_ops::release.  Data descriptors that are
 * still open fail with -ENODEV from then on.
 */
void vfio_migration_destroy(struct vfio_migration *mig);

/**
 * vfio_migration_open() - the device was opened
 * @mig: the migration.
 *
 * Called in vfio_device_ops::open_device, with the device as after a reset.
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_migration_open(struct vfio_migration *mig);

/**
 * vfio_migration_close() - the device is being closed
 * @mig: the migration.
 *
 * Called in vfio_device_ops::close_device, before the driver takes its device
 * down.  Ends the session or load; of the driver, it calls at most ->log_off.
 */
void vfio_migration_close(struct vfio_migration *mig);

/**
 * vfio_migration_reset() - VFIO_DEVICE_RESET
 * @mig: the migration.
 *
 * Ends the session or load and calls ->reset.
 *
 * Return: 0, or -EINTR, or what ->reset returned; the session stands then.
 */
int vfio_migration_reset(struct vfio_migration *mig);

/**
 * vfio_migration_region_info() - describe the migration region
 * @mig: the migration of an open device.
 * @info: as for vfio_device_ops::get_region_info_caps; size and flags are set,
 *	the offset is up to the driver.
 * @caps: as there.
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_migration_region_info(struct vfio_migration *mig,
			       struct vfio_region_info *info,
			       struct vfio_info_cap *caps);

/**
 * vfio_migration_region_read() - read(2) in the migration region
 * @mig: the migration of an open device.
 * @buf: the user's buffer.
 * @len: bytes.
 * @pos: offset in the region, as the user gave it.
 *
 * Return: @len or a negative errno, see <uapi/linux/vfio_migration_region.h>.
 */
ssize_t vfio_migration_region_read(struct vfio_migration *mig,
				   char __user *buf, size_t len, u64 pos);

/**
 * vfio_migration_region_write() - write(2) in the migration region
 * @mig: the migration of an open device.
 * @buf: the user's buffer.
 * @len: bytes.
 * @pos: offset in the region, as the user gave it.
 *
 * Return: @len or a negative errno, see <uapi/linux/vfio_migration_region.h>.
 */
ssize_t vfio_migration_region_write(struct vfio_migration *mig,
				    const char __user *buf, size_t len,
				    u64 pos);

/**
 * vfio_migration_region_mmap() - mmap(2) of the migration region
 * @mig: the migration of an open device.
 * @vma: the mapping.
 * @pgoff: page offset in the region, as the user gave it: @vma->vm_pgoff
 *	without what says which region it is.
 *
 * An access to the mapping never fails, and waits for nothing.
 *
 * Return: 0, or -EINVAL for anything but a part of the data section.
 */
int vfio_migration_region_mmap(struct vfio_migration *mig,
			       struct vm_area_struct *vma, unsigned long pgoff);

/**
 * vfio_migration_dirtied() - state that was sent has changed
 * @mig: the migration.
 * @bytes: what became unsent by this, in the unit of @size.  State that was
 *	unsent already is not to be reported again.
 *
 * The driver sets its own mark and calls this under one spinlock, under which
 * ->save looks for marks and clears them: then the counter and the marks agree
 * whenever ->save has found nothing.  Ignored outside a session.
 */
void vfio_migration_dirtied(struct vfio_migration *mig, u64 bytes);

/**
 * vfio_migration_reinit() - the snapshot begins anew
 * @mig: the migration.
 *
 * For a change that makes all state unsent, as when the guest resets the device.
 * Called after vfio_migration_dirtied() has told how much became unsent by it.
 * A user who asked for VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 is told by
 * VFIO_PRECOPY_INFO_REINIT, once; for others it is dirty state.
 */
void vfio_migration_reinit(struct vfio_migration *mig);

/**
 * vfio_migration_dma_written() - the device has written into guest memory
 * @mig: the migration of an open device.
 * @iova: DMA address.
 * @len: bytes, greater than 0.
 *
 * Called after the write and before its completion is visible to the guest.
 * Process context, may sleep.
 */
void vfio_migration_dma_written(struct vfio_migration *mig, u64 iova, u64 len);

/**
 * vfio_migration_data_size_show() - the size of the region's data section
 * @mig: the migration.
 * @buf: of a sysfs attribute.
 *
 * Return: bytes in @buf.
 */
ssize_t vfio_migration_data_size_show(struct vfio_migration *mig, char *buf);

/**
 * vfio_migration_data_size_store() - set the size of the region's data section
 * @mig: the migration.
 * @buf: of a sysfs attribute: bytes, a multiple of the page size, from two
 *	pages to 16 MiB.
 * @len: bytes in @buf.
 *
 * Return: @len; -EINVAL for another size, -EBUSY while the device is open.
 */
ssize_t vfio_migration_data_size_store(struct vfio_migration *mig,
				       const char *buf, size_t len);

/* What the functions of VFIO_MIGRATION_DEFINE_OPS call. */
struct file *vfio_migration_set_state(struct vfio_migration *mig,
				      enum vfio_device_mig_state to);
int vfio_migration_get_state(struct vfio_migration *mig,
			     enum vfio_device_mig_state *state);
int vfio_migration_get_data_size(struct vfio_migration *mig,
				 unsigned long *size);
int vfio_migration_log_start(struct vfio_migration *mig,
			     struct rb_root_cached *ranges, u32 nnodes,
			     u64 *page_size);
int vfio_migration_log_stop(struct vfio_migration *mig);
int vfio_migration_log_report(struct vfio_migration *mig, unsigned long iova,
			      unsigned long length, struct iova_bitmap *dirty);

/**
 * VFIO_MIGRATION_DEFINE_OPS() - the callbacks that the VFIO core wants
 * @prefix: the structures are called @prefix_mig_ops and @prefix_log_ops.
 * @type: the driver's structure, "struct my_device".
 * @dev: its member of type struct vfio_device, the first one.
 * @member: its member of type struct vfio_migration.
 *
 * The VFIO core hands a struct vfio_device to these callbacks, and only the
 * driver knows where the migration is from there.
 */
#define VFIO_MIGRATION_DEFINE_OPS(prefix, type, dev, member)		\
static struct vfio_migration *						\
prefix##_migration(struct vfio_device *vdev)				\
{									\
	return (void *)container_of(vdev, type, dev) +			\
	       offsetof(type, member);					\
}									\
									\
static struct file *							\
prefix##_set_state(struct vfio_device *vdev,				\
		   enum vfio_device_mig_state to)			\
{									\
	return vfio_migration_set_state(prefix##_migration(vdev), to);	\
}									\
									\
static int prefix##_get_state(struct vfio_device *vdev,			\
			      enum vfio_device_mig_state *state)	\
{									\
	return vfio_migration_get_state(prefix##_migration(vdev), state); \
}									\
									\
static int prefix##_get_data_size(struct vfio_device *vdev,		\
				  unsigned long *size)			\
{									\
	return vfio_migration_get_data_size(prefix##_migration(vdev),	\
					    size);			\
}									\
									\
static int prefix##_log_start(struct vfio_device *vdev,			\
			      struct rb_root_cached *ranges, u32 nnodes, \
			      u64 *page_size)				\
{									\
	return vfio_migration_log_start(prefix##_migration(vdev),	\
					ranges, nnodes, page_size);	\
}									\
									\
static int prefix##_log_stop(struct vfio_device *vdev)			\
{									\
	return vfio_migration_log_stop(prefix##_migration(vdev));	\
}									\
									\
static int prefix##_log_report(struct vfio_device *vdev,		\
			       unsigned long iova, unsigned long length, \
			       struct iova_bitmap *dirty)		\
{									\
	return vfio_migration_log_report(prefix##_migration(vdev),	\
					 iova, length, dirty);		\
}									\
									\
static const struct vfio_migration_ops prefix##_mig_ops = {		\
	.migration_set_state = prefix##_set_state,			\
	.migration_get_state = prefix##_get_state,			\
	.migration_get_data_size = prefix##_get_data_size,		\
};									\
									\
static const struct vfio_log_ops prefix##_log_ops = {			\
	.log_start = prefix##_log_start,				\
	.log_stop = prefix##_log_stop,					\
	.log_read_and_clear = prefix##_log_report,			\
}

#endif /* _LINUX_VFIO_MIGRATION_H */
