/* SPDX-License-Identifier: GPL-2.0 */
/* The DMA engine of a device: its ring, what is in it, and its interrupts. */
#ifndef GUEST_MDEV_ENGINE_H
#define GUEST_MDEV_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "mcopy_regs.h"
#include "mdev_device.h"
#include "mdev_place.h"

#define RING_SIZE	64	/* descriptors */

/* One copy; its places are taken until it is complete. */
struct job {
	struct area *from, *to;
	uint32_t source, destination;	/* first place */
	uint32_t count;			/* places */
	bool interrupt;			/* one must follow it */
};

struct engine_counters {
	uint64_t copies;		/* descriptors completed */
	uint64_t bytes;			/* in them */
	uint64_t failed;		/* completed with another status */
	uint64_t interrupts;		/* as UIO counted them */
	uint64_t empty;			/* of these: with nothing to be done */
	uint64_t no_interrupt;		/* completions that none followed */
	uint64_t lost;			/* descriptors that were never done */
	uint64_t wrong_registers;	/* BYTES, SCRATCH or RING_TAIL */
	uint64_t gap_max;		/* ns of the longest wait for a completion */
};

extern struct engine_counters engine_counters;

struct engine {
	struct device *device;
	struct mcopy_desc *ring;
	struct job jobs[RING_SIZE];
	uint32_t head, tail;		/* head: as far as was looked at */
	uint32_t announced;		/* the tail that the device knows */
	uint64_t bytes;			/* copied by this device, ever */
	uint64_t scratch;
	uint64_t since;			/* ns: when it last had a sign of life */
};

/* @ring, at DMA address @dma: RING_SIZE descriptors. Resets the device. */
int engine_start(struct engine *engine, struct device *device, void *ring,
		 uint64_t dma);
/* False if the ring is full. The places are free, and are taken. */
bool engine_copy(struct engine *engine, const struct job *job, bool from_local,
		 bool to_local);
/* Tells the device; the last copy will end with an interrupt. */
void engine_doorbell(struct engine *engine);
bool engine_is_idle(const struct engine *engine);
/* Serves an interrupt if there was one; what is overdue is counted. */
void engine_serve(struct engine *engine);
/* With nothing in flight: do the registers say what they must? */
void engine_check(struct engine *engine);

#endif
