/* SPDX-License-Identifier: GPL-2.0 */
/* As compat.h, for what includes the VFIO headers. */
#ifndef COMPAT_VFIO_H
#define COMPAT_VFIO_H

#include <linux/crc32.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>

/*
 * Since 7.0 the VFIO core does the copying of VFIO_DEVICE_GET_REGION_INFO, and
 * the driver only fills it in.  On 6.12 the ioctl arrives at the driver.
 */
#ifdef COMPAT_HAVE_VFIO_REGION_INFO_CAPS
#define COMPAT_VFIO_REGION_INFO(fn) .get_region_info_caps = (fn),
static inline long
compat_vfio_region_info(struct vfio_device *vdev, unsigned long arg,
			int (*fn)(struct vfio_device *,
				  struct vfio_region_info *,
				  struct vfio_info_cap *))
{
	return -ENOTTY;
}
#else
#define COMPAT_VFIO_REGION_INFO(fn)
static inline long
compat_vfio_region_info(struct vfio_device *vdev, unsigned long arg,
			int (*fn)(struct vfio_device *,
				  struct vfio_region_info *,
				  struct vfio_info_cap *))
{
	const size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info __user *user = (void __user *)arg;
	struct vfio_region_info info = {};
	struct vfio_info_cap caps = {};
	long ret;

	if (copy_from_user(&info, user, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.cap_offset = 0;
	ret = fn(vdev, &info, &caps);
	if (ret)
		goto free;
	ret = -EFAULT;
	if (caps.size) {
		size_t want = sizeof(info) + caps.size;

		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz >= want) {
			info.cap_offset = sizeof(info);
			vfio_info_cap_shift(&caps, sizeof(info));
			if (copy_to_user(user + 1, caps.buf, caps.size))
				goto free;
		} else {
			info.argsz = want;
		}
	}
	if (!copy_to_user(user, &info, minsz))
		ret = 0;
free:
	kfree(caps.buf);
	return ret;
}
#endif

/*
 * 7.2 lets the user ask for a second form of the pre-copy information, which has
 * flags, and checks the arguments for the driver.
 */
#ifdef COMPAT_HAVE_VFIO_PRECOPY_INFO_V2
static inline bool compat_vfio_precopy_info_v2(struct vfio_device *vdev)
{
	return READ_ONCE(vdev->precopy_info_v2);
}
#else
#define VFIO_PRECOPY_INFO_REINIT 0
static inline bool compat_vfio_precopy_info_v2(struct vfio_device *vdev)
{
	return false;
}

static inline int
vfio_check_precopy_ioctl(struct vfio_device *vdev, unsigned int cmd,
			 unsigned long arg, struct vfio_precopy_info *info)
{
	const size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (const void __user *)arg, minsz))
		return -EFAULT;
	return info->argsz < minsz ? -EINVAL : 0;
}
#endif

/* 6.12 has crc32c() only with the crypto API; this is the same without it. */
#ifndef COMPAT_HAVE_CRC32C
#define crc32c(crc, data, len) __crc32c_le(crc, data, len)
#endif

/* A symbol namespace is a string since 6.13. */
#define COMPAT_IMPORT_NS(ns) MODULE_INFO(import_ns, #ns)

#endif /* COMPAT_VFIO_H */
