// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

struct guest *guest_new(struct space *space)
{
	struct guest *g = vt_zalloc(sizeof(*g));

	g->mem = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->mem == MAP_FAILED)
		vt_fatal("no guest memory");
	g->ring = (void *)g->mem;
	space_map(space, g->mem, GUEST_SIZE, GUEST_IOVA);
	return g;
}

void engine_start(struct device *d)
{
	device_put(d, BAR0, MCOPY_REG_CTRL, 0, 4);
	device_put(d, BAR0, MCOPY_REG_RING_BASE, GUEST_IOVA, 8);
	device_put(d, BAR0, MCOPY_REG_RING_SIZE, RING_SIZE, 4);
	device_put(d, BAR0, MCOPY_REG_CTRL, MCOPY_CTRL_ENABLE, 4);
}

void engine_fill(struct guest *g, unsigned int n, uint64_t src, uint64_t dst,
		 uint32_t length, uint32_t flags)
{
	g->ring[n % RING_SIZE] = (struct mcopy_desc) {
		.src = src,
		.dst = dst,
		.length = length,
		.flags = flags,
		.cookie = n,
	};
}

void engine_kick(struct device *d, uint32_t tail)
{
	device_put(d, BAR0, MCOPY_REG_RING_TAIL, tail, 4);
}

uint32_t engine_head(struct device *d)
{
	return device_get(d, BAR0, MCOPY_REG_RING_HEAD, 4);
}

bool engine_done(struct device *d, uint32_t head, unsigned int ms)
{
	return vt_until(engine_head(d) == head, ms);
}

/* Long enough for one that works, whatever the machine does besides. */
bool engine_works(struct device *d, struct guest *g)
{
	uint32_t tail = device_get(d, BAR0, MCOPY_REG_RING_TAIL, 4) + 1;

	engine_fill(g, tail - 1, 0, 0, 0, 0);
	engine_kick(d, tail);
	return engine_done(d, tail, kernel_is_debug() ? 400 : 100);
}

void fill(void *at, size_t len, unsigned int seed)
{
	uint8_t *p = at;

	for (size_t i = 0; i < len; i++)
		p[i] = (i * 2654435761U + seed * 40503U) >> 13 | 1;
}

uint64_t hash(const void *at, size_t len)
{
	const uint64_t *p = at;
	uint64_t value = 14695981039346656037ULL;

	for (size_t i = 0; i < len / 8; i++)
		value = (value ^ p[i]) * 1099511628211ULL;
	return value;
}

uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}
