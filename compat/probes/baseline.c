// SPDX-License-Identifier: GPL-2.0
/* Must compile everywhere: if it does not, no answer of a probe means anything. */
#include <linux/module.h>
#include <target/target_core_base.h>
#include <target/target_core_fabric.h>
#include "vhost.h"

int probe(struct vhost_dev *dev);
int probe(struct vhost_dev *dev)
{
	return dev->nvqs;
}
