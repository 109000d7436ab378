/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A split virtqueue, as a guest's driver sees it.  Whatever a well-behaved
 * driver does has a function; whatever a hostile one does is done by poking
 * vr->desc, vr->avail and vr->used, which nothing here ever reads back: the
 * library's own books are kept beside the ring.
 */
#ifndef VT_VRING_H
#define VT_VRING_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

/* What became of one chain: first member of whatever is put on a ring. */
struct outcome {
	unsigned int returned;	/* used elements seen for it: must end as 1 */
	uint32_t len;		/* of the last such element */
};

struct ring {
	struct guest *g;
	unsigned int num;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	int kick, call, err;
	bool event_idx;

	uint16_t avail_idx;	/* the next entry to fill */
	uint16_t kicked;	/* avail_idx at the last decision to kick */
	uint16_t used_seen;	/* used elements taken so far */

	uint16_t *free;		/* stack of descriptors not in use */
	unsigned int nfree;
	uint16_t *next;		/* our copy of each chain's links */
	uint16_t *count;	/* descriptors of the chain at this head */
	struct outcome **owner;	/* by head, while it is the device's */

	unsigned int inflight;
	unsigned int strangers;	/* used elements for heads not in flight */
	unsigned int uncalled;	/* waits that only a look at the ring ended */
};

#define VRING_INDIRECT_MAX 1200

struct chain {
	struct ring *vr;
	int head, last;
	unsigned int count;
	struct vring_desc *table;	/* indirect, or NULL */
	unsigned int table_used;
};

void vring_open(struct ring *vr, struct guest *g, unsigned int num);
void vring_close(struct ring *vr);
/* Forgets everything in flight and lets the indices begin at base. */
void vring_reset(struct ring *vr, uint16_t base);

/* Builds a chain: begin, add in order, post. */
struct chain chain_begin(struct ring *vr);
struct chain chain_begin_indirect(struct ring *vr);
void chain_add(struct chain *c, const void *p, uint32_t len, bool device_writes);
void chain_add_raw(struct chain *c, uint64_t addr, uint32_t len, uint16_t flags);
/* Makes it available (no kick) under this outcome. */
void chain_post(struct chain *c, struct outcome *o);

/* Puts any number into the avail ring, in range or not. */
void vring_post_head(struct ring *vr, uint16_t head);
/* Kicks if the device wants to be kicked; vring_kick_always() in any case. */
void vring_kick(struct ring *vr);
void vring_kick_always(struct ring *vr);

/* Asks for, or against, calls from the device. */
void vring_want_calls(struct ring *vr, bool want);
/* The device is to call once this many more elements are used (event index). */
void vring_call_after(struct ring *vr, uint16_t count);

/* The device writes here when it wants the next kick (event index). */
uint16_t *vring_avail_event_field(struct ring *vr);

/* Takes what is in the used ring: the number of elements. */
unsigned int vring_reap(struct ring *vr);
/* Waits until this chain, or every chain, is back. */
bool vring_wait(struct ring *vr, struct outcome *o, unsigned int ms);
bool vring_drain(struct ring *vr, unsigned int ms);

/* Reads an eventfd that does not block: the count, 0 if it has not fired. */
uint64_t eventfd_take(int fd);

#endif
