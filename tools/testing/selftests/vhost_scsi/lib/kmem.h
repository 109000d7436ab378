/* SPDX-License-Identifier: GPL-2.0 */
/* How much memory the kernel has handed out, to the page. */
#ifndef VT_KMEM_H
#define VT_KMEM_H

/*
 * Bytes that are not free, of the whole machine.  Pages kept on the per-CPU
 * lists are free; caches that can be dropped are dropped first.
 */
long kmem_used(void);

#endif
