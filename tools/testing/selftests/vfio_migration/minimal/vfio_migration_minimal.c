// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a driver needs to be migrated by vfio_migration
 *
 * For the tests: a device of another kind than the sample.  It has no dirty
 * logging, so it offers no PRE_COPY and sends all it has once it is stopped; and
 * it does no DMA, so it knows no P2P.
 *
 * The module makes /sys/class/mdev_bus/minimal with the type minimal-64K.  A
 * device has the regions
 *
 *	0	64 KiB of memory, read and write
 *	1	read-only, 8 bytes: __u64, the writes to region 0 that the device
 *		has carried out while it was running; those that came while it
 *		was stopped are in the memory, and not counted
 *	2	the migration region
 *
 * Byte n of a region is at file offset (index << 40) + n.
 */
#include <linux/device.h>
#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_migration.h>

#include "compat_vfio.h"

#define REGION_SHIFT	40
#define MEMORY_SIZE	SZ_64K

enum {
	REGION_MEMORY,
	REGION_WRITES,
	REGION_MIGRATION,
	NR_REGIONS,
};

enum {
	PIECE_MEMORY = 1,	/* arg: offset; payload: a page */
	PIECE_WRITES = 2,	/* payload: __le64 */
};

/**
 * struct minimal - a device
 * @vdev: must be first.
 * @mig: its migration.
 * @lock: protects the rest; taken inside the migration lock.
 * @running: not stopped.
 * @position: bytes of @memory that were sent, or came.
 * @sent: @writes were sent, or came.
 * @writes: see above.
 * @memory: see above.
 */
struct minimal {
	struct vfio_device vdev;
	struct vfio_migration mig;
	struct mutex lock; /* all below */
	bool running;
	size_t position;
	bool sent;
	u64 writes;
	u8 memory[MEMORY_SIZE];
};

static struct minimal *from_mig(struct vfio_migration *mig)
{
	return container_of(mig, struct minimal, mig);
}

static struct minimal *from_vdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct minimal, vdev);
}

static u64 minimal_size(struct vfio_migration *mig)
{
	return MEMORY_SIZE;
}

static u64 minimal_final_size(struct vfio_migration *mig)
{
	return sizeof(u64);
}

static int minimal_stop(struct vfio_migration *mig)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	m->running = false;
	m->position = 0;
	m->sent = false;
	return 0;
}

static void minimal_start(struct vfio_migration *mig)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	m->running = true;
}

static int minimal_save(struct vfio_migration *mig,
			struct vfio_migration_piece *piece,
			void *buf, size_t room, bool stopped)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	if (m->position < MEMORY_SIZE) {
		memcpy(buf, m->memory + m->position, PAGE_SIZE);
		piece->kind = PIECE_MEMORY;
		piece->arg = m->position;
		piece->length = PAGE_SIZE;
		piece->covers = PAGE_SIZE;
		m->position += PAGE_SIZE;
		return 1;
	}
	if (m->sent)
		return 0;
	m->sent = true;
	put_unaligned_le64(m->writes, buf);
	piece->kind = PIECE_WRITES;
	piece->length = sizeof(u64);
	piece->covers = sizeof(u64);
	return 1;
}

static int minimal_load_begin(struct vfio_migration *mig)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	m->position = 0;
	m->sent = false;
	return 0;
}

/* The pieces come in the order in which they were sent. */
static int minimal_load(struct vfio_migration *mig,
			const struct vfio_migration_piece *piece,
			const void *buf)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	switch (piece->kind) {
	case PIECE_MEMORY:
		if (piece->length != PAGE_SIZE || m->position >= MEMORY_SIZE ||
		    piece->arg != m->position)
			return -EINVAL;
		memcpy(m->memory + m->position, buf, PAGE_SIZE);
		m->position += PAGE_SIZE;
		return 0;
	case PIECE_WRITES:
		if (piece->length != sizeof(u64) || piece->arg || m->sent)
			return -EINVAL;
		m->writes = get_unaligned_le64(buf);
		m->sent = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int minimal_load_complete(struct vfio_migration *mig)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	if (m->position < MEMORY_SIZE || !m->sent)
		return -EINVAL;
	/* It may be saved from here, without being started. */
	m->position = 0;
	m->sent = false;
	return 0;
}

static int minimal_reset(struct vfio_migration *mig)
{
	struct minimal *m = from_mig(mig);

	guard(mutex)(&m->lock);
	memset(m->memory, 0, sizeof(m->memory));
	m->writes = 0;
	m->running = true;
	return 0;
}

static const struct vfio_migration_driver minimal_migration_driver = {
	.name = "minimal",
	.version = 1,
	.size = minimal_size,
	.final_size = minimal_final_size,
	.stop = minimal_stop,
	.start = minimal_start,
	.save = minimal_save,
	.load_begin = minimal_load_begin,
	.load = minimal_load,
	.load_complete = minimal_load_complete,
	.reset = minimal_reset,
};

VFIO_MIGRATION_DEFINE_OPS(minimal, struct minimal, vdev, mig);

static int minimal_init(struct vfio_device *vdev)
{
	struct minimal *m = from_vdev(vdev);

	mutex_init(&m->lock);
	return vfio_migration_init(&m->mig, vdev, &minimal_migration_driver,
				   &minimal_mig_ops, &minimal_log_ops);
}

static void minimal_release(struct vfio_device *vdev)
{
	struct minimal *m = from_vdev(vdev);

	vfio_migration_destroy(&m->mig);
	mutex_destroy(&m->lock);
}

static int minimal_open_device(struct vfio_device *vdev)
{
	struct minimal *m = from_vdev(vdev);

	minimal_reset(&m->mig);
	return vfio_migration_open(&m->mig);
}

static void minimal_close_device(struct vfio_device *vdev)
{
	vfio_migration_close(&from_vdev(vdev)->mig);
}

static ssize_t read_writes(struct minimal *m, char __user *buf, size_t count,
			   u64 pos)
{
	u64 writes;

	if (pos || count != sizeof(writes))
		return -EINVAL;
	scoped_guard(mutex, &m->lock)
		writes = m->writes;
	return copy_to_user(buf, &writes, count) ? -EFAULT : count;
}

static ssize_t minimal_read(struct vfio_device *vdev, char __user *buf,
			    size_t count, loff_t *ppos)
{
	const u64 pos = *ppos & (BIT_ULL(REGION_SHIFT) - 1);
	struct minimal *m = from_vdev(vdev);

	switch (*ppos >> REGION_SHIFT) {
	case REGION_MEMORY:
		if (pos >= MEMORY_SIZE)
			return -EINVAL;
		count = min(count, MEMORY_SIZE - pos);
		if (copy_to_user(buf, m->memory + pos, count))
			return -EFAULT;
		return count;
	case REGION_WRITES:
		return read_writes(m, buf, count, pos);
	case REGION_MIGRATION:
		return vfio_migration_region_read(&m->mig, buf, count, pos);
	default:
		return -EINVAL;
	}
}

static ssize_t minimal_write(struct vfio_device *vdev, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	const u64 pos = *ppos & (BIT_ULL(REGION_SHIFT) - 1);
	struct minimal *m = from_vdev(vdev);

	switch (*ppos >> REGION_SHIFT) {
	case REGION_MEMORY:
		if (pos >= MEMORY_SIZE)
			return -EINVAL;
		count = min(count, MEMORY_SIZE - pos);
		if (copy_from_user(m->memory + pos, buf, count))
			return -EFAULT;
		scoped_guard(mutex, &m->lock)
			m->writes += m->running;
		return count;
	case REGION_MIGRATION:
		return vfio_migration_region_write(&m->mig, buf, count, pos);
	default:
		return -EINVAL;
	}
}

static int minimal_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	const unsigned int shift = REGION_SHIFT - PAGE_SHIFT;

	if (vma->vm_pgoff >> shift != REGION_MIGRATION)
		return -EINVAL;
	return vfio_migration_region_mmap(&from_vdev(vdev)->mig, vma,
					  vma->vm_pgoff & (BIT(shift) - 1));
}

static int minimal_region_info(struct vfio_device *vdev,
			       struct vfio_region_info *info,
			       struct vfio_info_cap *caps)
{
	if (info->index >= NR_REGIONS)
		return -EINVAL;
	info->offset = (u64)info->index << REGION_SHIFT;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
	info->size = sizeof(u64);
	if (info->index == REGION_MIGRATION)
		return vfio_migration_region_info(&from_vdev(vdev)->mig, info,
						  caps);
	if (info->index == REGION_MEMORY) {
		info->flags |= VFIO_REGION_INFO_FLAG_WRITE;
		info->size = MEMORY_SIZE;
	}
	return 0;
}

static long minimal_device_info(struct vfio_device_info __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = NR_REGIONS;
	info.num_irqs = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long minimal_ioctl(struct vfio_device *vdev, unsigned int cmd,
			  unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return minimal_device_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return compat_vfio_region_info(vdev, arg, minimal_region_info);
	case VFIO_DEVICE_RESET:
		return vfio_migration_reset(&from_vdev(vdev)->mig);
	default:
		return -ENOTTY;
	}
}

static const struct vfio_device_ops minimal_ops = {
	.name = "minimal",
	.init = minimal_init,
	.release = minimal_release,
	.open_device = minimal_open_device,
	.close_device = minimal_close_device,
	.read = minimal_read,
	.write = minimal_write,
	.mmap = minimal_mmap,
	.ioctl = minimal_ioctl,
	COMPAT_VFIO_REGION_INFO(minimal_region_info)
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int minimal_probe(struct mdev_device *mdev)
{
	struct minimal *m;
	int ret;

	m = vfio_alloc_device(minimal, vdev, &mdev->dev, &minimal_ops);
	if (IS_ERR(m))
		return PTR_ERR(m);
	dev_set_drvdata(&mdev->dev, m);
	ret = vfio_register_emulated_iommu_dev(&m->vdev);
	if (ret)
		vfio_put_device(&m->vdev);
	return ret;
}

static void minimal_remove(struct mdev_device *mdev)
{
	struct minimal *m = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&m->vdev);
	vfio_put_device(&m->vdev);
}

static struct mdev_driver minimal_driver = {
	.device_api = VFIO_DEVICE_API_PLATFORM_STRING,
	.max_instances = 16,
	.probe = minimal_probe,
	.remove = minimal_remove,
	.driver = {
		.name = "minimal",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
};

static struct mdev_type minimal_type = {
	.sysfs_name = "64K",
	.pretty_name = "minimal, 64 KiB",
};

static struct mdev_type *minimal_types[] = { &minimal_type };

static const struct class minimal_class = {
	.name = "minimal",
};

static struct device *minimal_device;
static struct mdev_parent minimal_parent;

static int __init minimal_module_init(void)
{
	int ret;

	ret = mdev_register_driver(&minimal_driver);
	if (ret)
		return ret;
	ret = class_register(&minimal_class);
	if (ret)
		goto unregister_driver;
	minimal_device = device_create(&minimal_class, NULL, 0, NULL, "minimal");
	if (IS_ERR(minimal_device)) {
		ret = PTR_ERR(minimal_device);
		goto unregister_class;
	}
	ret = mdev_register_parent(&minimal_parent, minimal_device,
				   &minimal_driver, minimal_types,
				   ARRAY_SIZE(minimal_types));
	if (ret)
		goto unregister_device;
	return 0;

unregister_device:
	device_unregister(minimal_device);
unregister_class:
	class_unregister(&minimal_class);
unregister_driver:
	mdev_unregister_driver(&minimal_driver);
	return ret;
}

static void __exit minimal_module_exit(void)
{
	mdev_unregister_parent(&minimal_parent);
	device_unregister(minimal_device);
	class_unregister(&minimal_class);
	mdev_unregister_driver(&minimal_driver);
}

module_init(minimal_module_init);
module_exit(minimal_module_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The least that vfio_migration needs, for its tests");
