// SPDX-License-Identifier: GPL-2.0
/*
 * mcopy, a sample device that can be migrated: mediated devices, the VFIO device
 * and its regions
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mcopy.h"

struct mcopy_type {
	struct mdev_type type;
	u64 size;
};

static struct mcopy_type mcopy_types[] = {
	{ { .sysfs_name = "16M", .pretty_name = "mcopy, 16 MiB" }, SZ_16M },
	{ { .sysfs_name = "64M", .pretty_name = "mcopy, 64 MiB" }, SZ_64M },
	{ { .sysfs_name = "256M", .pretty_name = "mcopy, 256 MiB" }, SZ_256M },
};

static struct mdev_type *mcopy_mdev_types[] = {
	&mcopy_types[0].type,
	&mcopy_types[1].type,
	&mcopy_types[2].type,
};

VFIO_MIGRATION_DEFINE_OPS(mcopy, struct mcopy, vdev, mig);

static struct mcopy *from_vdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct mcopy, vdev);
}

static int mcopy_init(struct vfio_device *vdev)
{
	struct mdev_type *type = to_mdev_device(vdev->dev)->type;
	struct mcopy *m = from_vdev(vdev);

	m->memory.nr_pages =
		container_of(type, struct mcopy_type, type)->size >> PAGE_SHIFT;
	spin_lock_init(&m->memory.lock);
	spin_lock_init(&m->lock);
	mutex_init(&m->irq_mutex);
	mutex_init(&m->reset_mutex);
	mcopy_config_init(m);
	mcopy_engine_init(m);
	return vfio_migration_init(&m->mig, vdev, &mcopy_migration_driver,
				   &mcopy_mig_ops, &mcopy_log_ops);
}

static void mcopy_release(struct vfio_device *vdev)
{
	struct mcopy *m = from_vdev(vdev);

	vfio_migration_destroy(&m->mig);
	mutex_destroy(&m->irq_mutex);
	mutex_destroy(&m->reset_mutex);
}

static int mcopy_open_device(struct vfio_device *vdev)
{
	struct mcopy *m = from_vdev(vdev);
	int ret;

	ret = mcopy_memory_open(m);
	if (ret)
		return ret;
	ret = mcopy_engine_open(m);
	if (ret)
		goto close_memory;
	spin_lock(&m->lock);
	mcopy_regs_reset_locked(m);
	mcopy_config_reset_locked(m);
	spin_unlock(&m->lock);
	m->loaded = false;
	ret = vfio_migration_open(&m->mig);
	if (ret)
		goto close_engine;
	return 0;

close_engine:
	mcopy_engine_close(m);
close_memory:
	mcopy_memory_close(m);
	return ret;
}

static void mcopy_close_device(struct vfio_device *vdev)
{
	struct mcopy *m = from_vdev(vdev);

	vfio_migration_close(&m->mig);
	mcopy_engine_close(m);
	mcopy_irq_close(m);
	mcopy_memory_close(m);
}

static u64 region_size(const struct mcopy *m, unsigned int index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return MCOPY_REGS_SIZE;
	case VFIO_PCI_BAR2_REGION_INDEX:
		return mcopy_memory_size(m);
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return MCOPY_CONFIG_SIZE;
	default:
		return 0;
	}
}

static int mcopy_region_info(struct vfio_device *vdev,
			     struct vfio_region_info *info,
			     struct vfio_info_cap *caps)
{
	struct mcopy *m = from_vdev(vdev);

	if (info->index > MCOPY_MIGRATION_REGION)
		return -EINVAL;
	info->offset = (u64)info->index << MCOPY_REGION_SHIFT;
	info->flags = 0;
	if (info->index == MCOPY_MIGRATION_REGION)
		return vfio_migration_region_info(&m->mig, info, caps);
	info->size = region_size(m, info->index);
	if (info->size)
		info->flags = VFIO_REGION_INFO_FLAG_READ |
			      VFIO_REGION_INFO_FLAG_WRITE;
	if (info->index == VFIO_PCI_BAR2_REGION_INDEX)
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return 0;
}

static int region_unit(struct mcopy *m, unsigned int index, u64 pos, u8 *buf,
		       size_t len, bool write)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		if (write)
			return mcopy_regs_write(m, pos, buf, len);
		mcopy_regs_read(m, pos, buf, len);
		return 0;
	case VFIO_PCI_BAR2_REGION_INDEX:
		return mcopy_memory_copy(m, pos, buf, len, write);
	default:
		if (write)
			mcopy_config_write(m, pos, buf, len);
		else
			mcopy_config_read(m, pos, buf, len);
		return 0;
	}
}

/* A register is accessed in aligned units, memory as far as the page goes. */
static size_t unit_length(unsigned int index, u64 pos, size_t left)
{
	size_t len = 8;

	if (index == VFIO_PCI_BAR2_REGION_INDEX)
		return min3(left, PAGE_SIZE - offset_in_page(pos),
			    (size_t)SZ_256);
	while (len > left || !IS_ALIGNED(pos, len))
		len /= 2;
	return len;
}

/**
 * mcopy_region_rw() - read(2) and write(2) of a region that is not migration's
 * @m: the device.
 * @ubuf: the user's buffer; written to only if @write is false.
 * @count: bytes.
 * @offset: as the user gave it.
 * @write: to the device.
 *
 * The boundary for regions, offsets and lengths that the user supplies.
 *
 * Return: bytes, cut at the end of the region, or a negative errno.
 */
static ssize_t mcopy_region_rw(struct mcopy *m, char __user *ubuf, size_t count,
			       u64 offset, bool write)
{
	const unsigned int index = offset >> MCOPY_REGION_SHIFT;
	u64 pos = offset & (BIT_ULL(MCOPY_REGION_SHIFT) - 1);
	const u64 size = region_size(m, index);
	u8 buf[SZ_256];
	size_t done = 0;
	int ret = 0;

	if (pos >= size)
		return -EINVAL;
	count = min(count, size - pos);
	while (done < count) {
		size_t len = unit_length(index, pos, count - done);

		ret = -EFAULT;
		if (write && copy_from_user(buf, ubuf + done, len))
			break;
		ret = region_unit(m, index, pos, buf, len, write);
		if (ret)
			break;
		if (!write && copy_to_user(ubuf + done, buf, len)) {
			ret = -EFAULT;
			break;
		}
		done += len;
		pos += len;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done ?: ret;
}

static bool is_migration(u64 offset)
{
	return offset >> MCOPY_REGION_SHIFT == MCOPY_MIGRATION_REGION;
}

static ssize_t mcopy_read(struct vfio_device *vdev, char __user *buf,
			  size_t count, loff_t *ppos)
{
	const u64 offset = *ppos, mask = BIT_ULL(MCOPY_REGION_SHIFT) - 1;
	struct mcopy *m = from_vdev(vdev);
	ssize_t ret;

	if (is_migration(offset))
		ret = vfio_migration_region_read(&m->mig, buf, count,
						 offset & mask);
	else
		ret = mcopy_region_rw(m, buf, count, offset, false);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

static ssize_t mcopy_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	const u64 offset = *ppos, mask = BIT_ULL(MCOPY_REGION_SHIFT) - 1;
	struct mcopy *m = from_vdev(vdev);
	ssize_t ret;

	if (is_migration(offset))
		ret = vfio_migration_region_write(&m->mig, buf, count,
						  offset & mask);
	else
		ret = mcopy_region_rw(m, (char __user *)buf, count, offset,
				      true);
	if (ret > 0)
		*ppos += ret;
	return ret;
}

static int mcopy_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	const unsigned int shift = MCOPY_REGION_SHIFT - PAGE_SHIFT;
	const unsigned long pgoff = vma->vm_pgoff & ((1UL << shift) - 1);
	struct mcopy *m = from_vdev(vdev);

	switch (vma->vm_pgoff >> shift) {
	case VFIO_PCI_BAR2_REGION_INDEX:
		return mcopy_memory_mmap(m, vma, pgoff);
	case MCOPY_MIGRATION_REGION:
		return vfio_migration_region_mmap(&m->mig, vma, pgoff);
	default:
		return -EINVAL;
	}
}

static long mcopy_device_info(struct vfio_device_info __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = MCOPY_MIGRATION_REGION + 1;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mcopy_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct mcopy *m = from_vdev(vdev);

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return mcopy_device_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return compat_vfio_region_info(vdev, arg, mcopy_region_info);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return mcopy_irq_info((void __user *)arg);
	case VFIO_DEVICE_SET_IRQS:
		return mcopy_irq_set(m, (void __user *)arg);
	case VFIO_DEVICE_RESET:
		return vfio_migration_reset(&m->mig);
	default:
		return -ENOTTY;
	}
}

static void mcopy_request(struct vfio_device *vdev, unsigned int count)
{
	mcopy_irq_request(from_vdev(vdev));
}

static const struct vfio_device_ops mcopy_ops = {
	.name = "mcopy",
	.init = mcopy_init,
	.release = mcopy_release,
	.open_device = mcopy_open_device,
	.close_device = mcopy_close_device,
	.read = mcopy_read,
	.write = mcopy_write,
	.mmap = mcopy_mmap,
	.ioctl = mcopy_ioctl,
	.request = mcopy_request,
	COMPAT_VFIO_REGION_INFO(mcopy_region_info)
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int mcopy_probe(struct mdev_device *mdev)
{
	struct mcopy *m;
	int ret;

	m = vfio_alloc_device(mcopy, vdev, &mdev->dev, &mcopy_ops);
	if (IS_ERR(m))
		return PTR_ERR(m);
	dev_set_drvdata(&mdev->dev, m);
	ret = vfio_register_emulated_iommu_dev(&m->vdev);
	if (ret)
		vfio_put_device(&m->vdev);
	return ret;
}

static void mcopy_remove(struct mdev_device *mdev)
{
	struct mcopy *m = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&m->vdev);
	vfio_put_device(&m->vdev);
}

static ssize_t mcopy_describe(struct mdev_type *type, char *buf)
{
	u64 size = container_of(type, struct mcopy_type, type)->size;

	return sysfs_emit(buf, "copies memory by DMA; %llu MiB of its own; can be migrated\n",
			  size / SZ_1M);
}

static ssize_t migration_data_size_show(struct device *dev,
					struct device_attribute *attr,
					char *buf)
{
	struct mcopy *m = dev_get_drvdata(dev);

	return vfio_migration_data_size_show(&m->mig, buf);
}

static ssize_t migration_data_size_store(struct device *dev,
					 struct device_attribute *attr,
					 const char *buf, size_t count)
{
	struct mcopy *m = dev_get_drvdata(dev);

	return vfio_migration_data_size_store(&m->mig, buf, count);
}
static DEVICE_ATTR_RW(migration_data_size);

static struct attribute *mcopy_attrs[] = {
	&dev_attr_migration_data_size.attr,
	NULL,
};

static const struct attribute_group mcopy_group = {
	.name = "mcopy",
	.attrs = mcopy_attrs,
};

static const struct attribute_group *mcopy_groups[] = {
	&mcopy_group,
	NULL,
};

static struct mdev_driver mcopy_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.max_instances = MCOPY_MAX_DEVICES,
	.probe = mcopy_probe,
	.remove = mcopy_remove,
	.show_description = mcopy_describe,
	.driver = {
		.name = "mcopy",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
		.dev_groups = mcopy_groups,
	},
};

static const struct class mcopy_class = {
	.name = "mcopy",
};

static struct device *mcopy_device;
static struct mdev_parent mcopy_parent;

static int __init mcopy_module_init(void)
{
	int ret;

	ret = mcopy_dma_setup();
	if (ret)
		return ret;
	ret = mdev_register_driver(&mcopy_driver);
	if (ret)
		goto teardown_dma;
	ret = class_register(&mcopy_class);
	if (ret)
		goto unregister_driver;
	mcopy_device = device_create(&mcopy_class, NULL, 0, NULL, "mcopy");
	if (IS_ERR(mcopy_device)) {
		ret = PTR_ERR(mcopy_device);
		goto unregister_class;
	}
	ret = mdev_register_parent(&mcopy_parent, mcopy_device, &mcopy_driver,
				   mcopy_mdev_types,
				   ARRAY_SIZE(mcopy_mdev_types));
	if (ret)
		goto unregister_device;
	return 0;

unregister_device:
	device_unregister(mcopy_device);
unregister_class:
	class_unregister(&mcopy_class);
unregister_driver:
	mdev_unregister_driver(&mcopy_driver);
teardown_dma:
	mcopy_dma_teardown();
	return ret;
}

static void __exit mcopy_module_exit(void)
{
	mdev_unregister_parent(&mcopy_parent);
	device_unregister(mcopy_device);
	class_unregister(&mcopy_class);
	mdev_unregister_driver(&mcopy_driver);
	mcopy_dma_teardown();
}

module_init(mcopy_module_init);
module_exit(mcopy_module_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Sample mediated device that copies memory and can be migrated");
MODULE_VERSION("1.0.0");
