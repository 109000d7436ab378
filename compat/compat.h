/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Force-included into every file, after compat/config.h with the answers of
 * the probes.  The sources are written for the newest kernel in SUPPORTED;
 * each shim here says with which of these it is needless.
 */
#ifndef COMPAT_H
#define COMPAT_H

/*
 * 7.2 lets fabrics choose where LIO completes commands; on 6.12 it is always
 * LIO's own workqueue.
 */
#ifdef COMPAT_HAVE_TARGET_COMPL_TYPE
#define COMPAT_TARGET_COMPLETE_TYPES			\
	.default_compl_type = TARGET_DIRECT_COMPL,	\
	.direct_compl_supp = 1,
#define COMPAT_TARGET_COMPLETES_IN_PLACE true
#else
#define COMPAT_TARGET_COMPLETE_TYPES
#define COMPAT_TARGET_COMPLETES_IN_PLACE false
#endif

#ifndef COMPAT_HAVE_KZALLOC_OBJ
/* 7.2 has these in linux/slab.h. */
#define kmalloc_obj(var, gfp) kmalloc(sizeof(var), gfp)
#define kzalloc_obj(var, gfp) kzalloc(sizeof(var), gfp)
#define kvzalloc_obj(var, gfp) kvzalloc(sizeof(var), gfp)
#endif

#endif /* COMPAT_H */
