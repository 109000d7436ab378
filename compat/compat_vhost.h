/* SPDX-License-Identifier: GPL-2.0 */
/* To be included after drivers/vhost/vhost.h; see compat.h. */
#ifndef COMPAT_VHOST_H
#define COMPAT_VHOST_H

#ifndef COMPAT_HAVE_VHOST_FEATURES_U64
/* Since 7.1, features are lists of bit numbers; before, a constant mask. */
#define VHOST_FEATURES			\
	VIRTIO_F_NOTIFY_ON_EMPTY,	\
	VIRTIO_RING_F_INDIRECT_DESC,	\
	VIRTIO_RING_F_EVENT_IDX,	\
	VHOST_F_LOG_ALL,		\
	VIRTIO_F_ANY_LAYOUT,		\
	VIRTIO_F_VERSION_1

static inline u64 compat_vhost_features(const int *bits, unsigned int count)
{
	u64 mask = 0;

	while (count--)
		mask |= BIT_ULL(bits[count]);
	return mask;
}

#define VHOST_FEATURES_U64(bits, index) \
	compat_vhost_features(bits, ARRAY_SIZE(bits))
#endif

#ifndef COMPAT_HAVE_VHOST_USED_NHEADS
/* Since 6.18, with the number of buffers of each head, for in-order rings. */
#define vhost_add_used_n(vq, heads, nheads, count) \
	vhost_add_used_n(vq, heads, count)
#endif

#endif /* COMPAT_VHOST_H */
