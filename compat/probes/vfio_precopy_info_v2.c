// SPDX-License-Identifier: GPL-2.0
#include <linux/vfio.h>

u8 probe(struct vfio_device *vdev);
u8 probe(struct vfio_device *vdev)
{
	return vdev->precopy_info_v2;
}
