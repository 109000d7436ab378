/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Force-included into every file, after compat/config.h with the answers of
 * the probes.  The sources are written for the newest kernel in SUPPORTED;
 * each shim here says which kernel made it needless.
 */
#ifndef COMPAT_H
#define COMPAT_H

/*
 * Fabrics choose where LIO completes commands since 6.18; before, it is always
 * LIO's own workqueue.
 */
#ifdef COMPAT_HAVE_TARGET_COMPL_TYPE
#define COMPAT_TARGET_COMPLETE_TYPES			\
	.default_compl_type = TARGET_QUEUE_COMPL,	\
	.direct_compl_supp = 1,
#else
#define COMPAT_TARGET_COMPLETE_TYPES
#endif

#endif /* COMPAT_H */
