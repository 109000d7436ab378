// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "kselftest.h"

#include "device.h"
#include "graph.h"

/* The arcs that the header names, in the order in which it does. */
static const struct {
	uint32_t from, to;
} arcs[] = {
	{ RUNNING_P2P, STOP },
	{ STOP_COPY, STOP },
	{ RESUMING, STOP },
	{ PRE_COPY, RUNNING },
	{ RUNNING_P2P, RUNNING },
	{ PRE_COPY_P2P, RUNNING_P2P },
	{ RUNNING, RUNNING_P2P },
	{ STOP, RUNNING_P2P },
	{ RUNNING, PRE_COPY },
	{ RUNNING_P2P, PRE_COPY_P2P },
	{ STOP, STOP_COPY },
	{ PRE_COPY, PRE_COPY_P2P },
	{ PRE_COPY_P2P, PRE_COPY },
	{ PRE_COPY_P2P, STOP_COPY },
	{ STOP, RESUMING },
};

bool graph_saves(uint32_t state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P || state == STOP_COPY;
}

bool graph_stopped(uint32_t state)
{
	return state == STOP || state == STOP_COPY || state == RESUMING;
}

static bool exists(uint32_t state, uint64_t flags)
{
	switch (state) {
	case STOP:
	case RUNNING:
	case STOP_COPY:
	case RESUMING:
		return true;
	case RUNNING_P2P:
		return flags & VFIO_MIGRATION_P2P;
	case PRE_COPY:
		return flags & VFIO_MIGRATION_PRE_COPY;
	case PRE_COPY_P2P:
		return (flags & VFIO_MIGRATION_P2P) &&
		       (flags & VFIO_MIGRATION_PRE_COPY);
	default:
		return false;
	}
}

/*
 * A state of the saving group is no way from outside of it to outside; within
 * it a session goes on.
 */
static bool passable(uint32_t state, uint32_t from, uint32_t to)
{
	return state == from || !graph_saves(state) ||
	       (graph_saves(from) && graph_saves(to));
}

bool graph_search(uint32_t from, uint32_t to, uint64_t flags,
		  struct graph_path *path)
{
	uint32_t queue[NR_STATES], back[NR_STATES];
	unsigned int head = 0, tail = 0, len = 0;
	bool seen[NR_STATES] = {};
	uint32_t state;

	memset(path, 0, sizeof(*path));
	path->state[0] = from;
	if (!exists(from, flags) || !exists(to, flags))
		return false;
	queue[tail++] = from;
	seen[from] = true;
	while (head < tail && !seen[to]) {
		state = queue[head++];
		if (!passable(state, from, to))
			continue;
		for (unsigned int i = 0; i < ARRAY_SIZE(arcs); i++) {
			uint32_t next = arcs[i].to;

			if (arcs[i].from != state || seen[next])
				continue;
			/* Not permitted, says the header, and it means the way. */
			if (from == STOP_COPY && graph_saves(to) && to != from)
				continue;
			seen[next] = true;
			back[next] = state;
			queue[tail++] = next;
		}
	}
	if (!seen[to])
		return false;
	for (state = to; state != from; state = back[state])
		len++;
	path->len = len;
	for (state = to; len; state = back[state])
		path->state[len--] = state;
	return true;
}

bool graph_begins(const struct graph_path *path)
{
	uint32_t last = path->state[path->len];

	if (!path->len)
		return false;
	return last == RESUMING ||
	       (graph_saves(last) && !graph_saves(path->state[path->len - 1]));
}

bool graph_ends(const struct graph_path *path)
{
	uint32_t first = path->state[0];

	return path->len && (first == RESUMING ||
			     (graph_saves(first) && !graph_saves(path->state[1])));
}

bool graph_completes(const struct graph_path *path)
{
	return path->len && path->state[0] == RESUMING;
}

const char *graph_name(uint32_t state)
{
	static const char *const names[NR_STATES] = {
		"ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING",
		"RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	};

	return state < NR_STATES ? names[state] : "?";
}
