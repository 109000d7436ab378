/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state graph of <linux/vfio.h>, searched breadth first.  Knows nothing of
 * how a driver does it.
 */
#ifndef GRAPH_H
#define GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#define GRAPH_PATH_MAX	8

struct graph_path {
	unsigned int len;	/* arcs; 0 if it is the same state */
	uint32_t state[GRAPH_PATH_MAX];	/* [0] is where it begins */
};

/* False if no path is permitted.  @flags: of VFIO_DEVICE_FEATURE_MIGRATION. */
bool graph_search(uint32_t from, uint32_t to, uint64_t flags,
		  struct graph_path *path);

/* What happens on the way. */
bool graph_begins(const struct graph_path *path);	/* ends in a new session or load */
bool graph_ends(const struct graph_path *path);		/* ends one, also in between */
bool graph_completes(const struct graph_path *path);	/* a load must be complete */
bool graph_stopped(uint32_t state);
bool graph_saves(uint32_t state);
const char *graph_name(uint32_t state);

#endif
