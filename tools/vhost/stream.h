/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stream of migration state, taken apart. The kernel calls it opaque: this is
 * for people who want to look at one, and for what `migrate` must know of the
 * inventory. All numbers in these structures are the host's byte order.
 */
#ifndef CTL_STREAM_H
#define CTL_STREAM_H

#include <linux/vhost_scsi_migration.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"

struct stream_lun {
	uint64_t lun, blocks;
	uint32_t target, block_size, backstore, flags;
	uint8_t type, protection;
	char vendor[9], product[17], backend[17], serial[257];
};

struct stream_ring {
	uint16_t size, last_avail;
};

struct stream_event {
	uint32_t event, reason;
	uint8_t lun[8];
};

struct stream_attention {
	uint64_t lun;
	uint32_t target;
	uint8_t asc, ascq;
};

struct stream_registration {
	uint64_t key;
	uint32_t flags;
	uint16_t rel_port;
	uint8_t type;
	char initiator[257];
};

struct stream_reservation {
	uint64_t lun;
	uint32_t target, flags, count;
	struct stream_registration *registration;
};

/* A section of a type or version that is not known here and may be skipped. */
struct stream_skipped {
	uint32_t type, length;
	uint16_t version;
};

struct stream {
	uint64_t features;
	uint32_t version, nr_queues;
	uint8_t host[16];
	char wwpn[225];
	unsigned int headers;	/* how often it began anew, and once */
	unsigned int inventories;
	bool complete;		/* the END was there, and its checksum right */
	uint32_t missed;

	size_t nr_luns, nr_rings, nr_events, nr_attentions, nr_reservations,
	       nr_skipped;
	struct stream_lun *lun;
	struct stream_ring *ring;
	struct stream_event *event;
	struct stream_attention *attention;
	struct stream_reservation *reservation;
	struct stream_skipped *skipped;
};

/*
 * Takes @data apart. A stream that ends between two sections is no error, but
 * not complete either. -1 and a reason for everything else; @stream then holds
 * nothing. What succeeded is given back with stream_free().
 */
int stream_decode(struct stream *stream, const void *data, size_t length,
		  struct failure *f);
void stream_free(struct stream *stream);

#endif
