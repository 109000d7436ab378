/* SPDX-License-Identifier: GPL-2.0 */
/* mcopy's engine, and guest memory that it copies from and to. */
#ifndef ENGINE_H
#define ENGINE_H

#include "device.h"

#define GUEST_IOVA	0x100000000ULL
#define GUEST_SIZE	(4 * MIB)
#define RING_SIZE	64

/* Page 0 has the ring; the rest is the test's. */
struct guest {
	uint8_t *mem;
	struct mcopy_desc *ring;
};

struct guest *guest_new(struct space *space);
/* Enables the engine, with the ring empty. */
void engine_start(struct device *d);
/* Fills descriptor @n and does not tell the engine. */
void engine_fill(struct guest *g, unsigned int n, uint64_t src, uint64_t dst,
		 uint32_t length, uint32_t flags);
/* Tells it that there are @tail descriptors since engine_start(). */
void engine_kick(struct device *d, uint32_t tail);
uint32_t engine_head(struct device *d);
/* Waits until @head descriptors are done. */
bool engine_done(struct device *d, uint32_t head, unsigned int ms);
/* Does the engine work?  Its ring is empty before and after. */
bool engine_works(struct device *d, struct guest *g);

/* DMA address of byte @at of guest memory. */
#define DMA(at)		(GUEST_IOVA + (at))
#define TO_DEVICE	MCOPY_DESC_DST_LOCAL
#define FROM_DEVICE	MCOPY_DESC_SRC_LOCAL

void fill(void *at, size_t len, unsigned int seed);
/* Depends on each byte of it. */
uint64_t hash(const void *at, size_t len);
/* A small generator, the same each time. */
uint32_t random_next(uint32_t *state);

#endif
