// SPDX-License-Identifier: GPL-2.0
#include <linux/vfio.h>

struct vfio_device_ops probe;
struct vfio_device_ops probe = {
	.get_region_info_caps = NULL,
};
