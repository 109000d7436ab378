/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that something can be copied from and to, and what each must hold: in
 * device memory, seen by the CPU through a BAR, and in guest memory.
 */
#ifndef GUEST_MDEV_PLACE_H
#define GUEST_MDEV_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include "pattern.h"

struct place {
	uint32_t number;	/* what was put there, as pattern.h has it; it */
	uint32_t generation;	/* moves with the contents */
	int16_t users;		/* > 0: is read by engines; -1: is written */
};

/* Places that follow each other, for the CPU and for an engine. */
struct area {
	uint8_t *cpu;
	uint64_t dma;		/* address for the DMA of any device */
	uint64_t local;		/* offset in the memory of device number owner */
	int owner;		/* -1 for guest memory */
	uint32_t count;
	struct place *places;
};

struct place_counters {
	uint64_t checked;	/* places compared */
	uint64_t wrong;		/* of these: not what they must hold */
	uint64_t stale, zero, torn;	/* the same, by what they held */
	uint64_t wrong_bytes;
	uint64_t stored;	/* places in device memory written by the CPU */
};

extern struct place_counters place_counters;

/* What the CPU stores to device memory with. */
const char *place_store_name(void);
void place_seed(uint64_t seed);
uint32_t place_random(uint32_t limit);
void area_init(struct area *area, uint32_t count);
/* count free places in a row, or -1; the caller takes or leaves them at once. */
int64_t area_choose(const struct area *area, uint32_t count, bool write);
/* New contents, stored by the CPU. */
void place_fill(struct area *area, uint32_t index);
/* Compares every byte. */
void place_check(const struct area *area, uint32_t index);
/* Compares all places that no engine is writing. */
void area_check(const struct area *area);
/* Are these bytes of device memory zero? */
bool place_is_zero(const uint8_t *cpu, uint64_t bytes);

#endif
