/* SPDX-License-Identifier: GPL-2.0 */
/* To be included after drivers/vhost/vhost.h; see compat.h. */
#ifndef COMPAT_VHOST_H
#define COMPAT_VHOST_H

#ifndef COMPAT_HAVE_VHOST_USED_NHEADS
/* 7.2 wants the number of buffers of each head, too, for in-order rings. */
#define vhost_add_used_n(vq, heads, nheads, count) \
	((void)(nheads), vhost_add_used_n(vq, heads, count))
#endif

#endif /* COMPAT_VHOST_H */
