// SPDX-License-Identifier: GPL-2.0
/*
 * A place is read before it is stored to. In pre-copy that maps the page of
 * device memory read-only, and the store that follows is one that KVM cannot
 * emulate (AVX; or movhps, for CPUs without): it must end in a fault that the
 * device's driver resolves, or the guest dies.
 */
#include <stdlib.h>
#include <string.h>
#include "mdev_place.h"

struct place_counters place_counters;

static struct {
	uint64_t seed, random;
	uint32_t numbers;	/* given out */
	uint32_t generation;
} v;

static void store_avx(uint8_t *to, const uint8_t *from)
{
	unsigned int i;

	for (i = 0; i < BLOCK_BYTES; i += 32)
		asm volatile("vmovdqu (%1), %%ymm0\n\t"
			     "vmovdqu %%ymm0, (%0)"
			     : : "r" (to + i), "r" (from + i)
			     : "memory", "xmm0");
	asm volatile("vzeroupper" : : : "memory");
}

static void store_movhps(uint8_t *to, const uint8_t *from)
{
	unsigned int i;

	for (i = 0; i < BLOCK_BYTES; i += 16)
		asm volatile("movups (%1), %%xmm0\n\t"
			     "movhps %%xmm0, 8(%0)\n\t"
			     "movlps %%xmm0, (%0)"
			     : : "r" (to + i), "r" (from + i)
			     : "memory", "xmm0");
}

static bool has_avx(void)
{
	return __builtin_cpu_supports("avx");
}

const char *place_store_name(void)
{
	return has_avx() ? "avx" : "movhps";
}

void place_seed(uint64_t seed)
{
	v.seed = seed;
	v.random = seed;
}

uint32_t place_random(uint32_t limit)
{
	v.random += 0x9e3779b97f4a7c15ull;
	return (pattern_mix(v.random) >> 32) * (uint64_t)limit >> 32;
}

void area_init(struct area *area, uint32_t count)
{
	uint32_t i;

	area->count = count;
	area->places = calloc(count, sizeof(*area->places));
	if (!area->places)
		abort();
	for (i = 0; i < count; i++)
		place_fill(area, i);
}

static bool is_free(const struct area *area, uint32_t first, uint32_t count,
		    bool write)
{
	uint32_t i;

	for (i = first; i < first + count; i++)
		if (write ? area->places[i].users : area->places[i].users < 0)
			return false;
	return true;
}

int64_t area_choose(const struct area *area, uint32_t count, bool write)
{
	unsigned int tries;

	for (tries = 0; tries < 16; tries++) {
		uint32_t first = place_random(area->count - count + 1);

		if (is_free(area, first, count, write))
			return first;
	}
	return -1;
}

void place_fill(struct area *area, uint32_t index)
{
	struct place *place = &area->places[index];
	uint8_t *to = area->cpu + (uint64_t)index * BLOCK_BYTES;
	uint64_t block[BLOCK_WORDS];

	place->number = v.numbers++;
	place->generation = ++v.generation;
	pattern_fill(block, place->number, place->generation, v.seed);
	if (area->owner < 0) {
		memcpy(to, block, BLOCK_BYTES);
		return;
	}
	place_counters.stored++;
	if (has_avx())
		store_avx(to, (const uint8_t *)block);
	else
		store_movhps(to, (const uint8_t *)block);
}

/* A BAR is read once, in words: it is not cached. */
static void read_block(uint64_t *block, const uint8_t *cpu)
{
	const uint64_t *word = (const uint64_t *)cpu;
	unsigned int i;

	for (i = 0; i < BLOCK_WORDS; i++)
		block[i] = __atomic_load_n(&word[i], __ATOMIC_RELAXED);
}

static uint64_t count_wrong_bytes(const uint64_t *have, const struct place *place)
{
	uint64_t want[BLOCK_WORDS], wrong = 0;
	unsigned int i;

	pattern_fill(want, place->number, place->generation, v.seed);
	for (i = 0; i < BLOCK_BYTES; i++)
		wrong += ((const uint8_t *)have)[i] != ((const uint8_t *)want)[i];
	return wrong;
}

void place_check(const struct area *area, uint32_t index)
{
	const struct place *place = &area->places[index];
	struct place_counters *c = &place_counters;
	uint64_t have[BLOCK_WORDS];
	enum pattern_verdict verdict;

	read_block(have, area->cpu + (uint64_t)index * BLOCK_BYTES);
	verdict = pattern_check(have, place->number, place->generation, v.seed);
	c->checked++;
	if (verdict == PATTERN_GOOD)
		return;
	c->wrong++;
	c->stale += verdict == PATTERN_STALE;
	c->zero += verdict == PATTERN_ZERO;
	c->torn += verdict == PATTERN_TORN;
	c->wrong_bytes += count_wrong_bytes(have, place);
}

void area_check(const struct area *area)
{
	uint32_t i;

	for (i = 0; i < area->count; i++)
		if (area->places[i].users >= 0)
			place_check(area, i);
}

bool place_is_zero(const uint8_t *cpu, uint64_t bytes)
{
	const uint64_t *word = (const uint64_t *)cpu;
	uint64_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (__atomic_load_n(&word[i], __ATOMIC_RELAXED))
			return false;
	return true;
}
