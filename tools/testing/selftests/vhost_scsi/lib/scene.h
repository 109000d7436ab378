/* SPDX-License-Identifier: GPL-2.0 */
/* A migration, and a third initiator that looks on at either end. */
#ifndef VT_SCENE_H
#define VT_SCENE_H

#include "mig.h"

struct scene {
	struct pair p;
	struct target *ts, *td;	/* of the third initiator */
	struct device ws, wd;	/* it, beside the source and beside the destination */
};

struct scene_opts {
	const char *kind;		/* iblock, fileio or rd_mcp */
	bool elsewhere;			/* two backstores that are the same disk */
	bool destination_first;		/* to be linked to the storage */
};

/* On one host there is but one backstore, and ws alone. */
void scene_up(struct scene *c, const struct scene_opts *opts);
/* The source's stream, as it arrives at the other end. */
struct stream *scene_save(struct scene *c, const struct scene_opts *opts);
/* What a load there has to be told: VHOST_SCSI_MIG_DATA_*. */
uint32_t scene_flags(const struct scene_opts *opts);
/*
 * The guest at the source takes a reservation, the persistent one with this key
 * or, type 0, that of SPC-2; what pr_shown() tells of it once it is at a target.
 */
#define SCENE_KEY 0x1111
int scene_take(struct device *d, uint8_t type);
int scene_clear(struct device *d, uint8_t type);
const char *scene_held(struct target *t, uint8_t type);
/* Is an initiator kept out of what this type keeps one out of? */
bool scene_locked_out(struct device *w, uint8_t type);

#endif
