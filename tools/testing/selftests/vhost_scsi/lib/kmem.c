// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "guest.h"
#include "kmem.h"
#include "util.h"

long kmem_used(void)
{
	long used = 0, value;
	char line[256];
	FILE *f;

	/* Deferred frees (RCU, vmalloc areas) first. */
	vt_sleep_ms(60);
	file_put("/proc/sys/vm/drop_caches", "3");
	file_put("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/zoneinfo", "re");
	if (!f)
		vt_fatal("no /proc/zoneinfo");
	/* "pages free" and each CPU's "count:" are free; "managed" is all. */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " managed %ld", &value) == 1)
			used += value;
		else if (sscanf(line, " pages free %ld", &value) == 1 ||
			 sscanf(line, " count: %ld", &value) == 1)
			used -= value;
	}
	fclose(f);
	return used * (long)PAGE;
}
