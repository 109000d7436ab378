// SPDX-License-Identifier: GPL-2.0
#include "vhost.h"

int probe(struct vhost_virtqueue *vq);
int probe(struct vhost_virtqueue *vq)
{
	return vhost_add_used_n(vq, vq->heads, NULL, 1);
}
