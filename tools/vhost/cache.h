/* SPDX-License-Identifier: GPL-2.0 */
/*
 * This host's page cache of the files behind LUNs. What another host has written
 * meanwhile is not in it, so it has to go before the guest is served from here.
 */
#ifndef CTL_CACHE_H
#define CTL_CACHE_H

#include <stdint.h>
#include "failure.h"

/* The file behind a LUN of a target port of this host, as LIO names it. */
int cache_file(const char *wwpn, uint32_t target, uint64_t lun, char *path,
	       size_t size, struct failure *f);
/* Drops it, and fails unless nothing is left. */
int cache_drop(const char *path, struct failure *f);

#endif
