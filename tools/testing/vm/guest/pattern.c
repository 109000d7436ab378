// SPDX-License-Identifier: GPL-2.0
/*
 * Block layout: magic, number and generation, seed, a pseudo-random body, and
 * a sum over all of it. The sum is what tells a whole block of an older time
 * from a torn one.
 */
#include <stdbool.h>
#include "pattern.h"

#define PATTERN_MAGIC	0x6b636f6c42746567ull

enum { WORD_MAGIC, WORD_PLACE, WORD_SEED, WORD_BODY, WORD_SUM = BLOCK_WORDS - 1 };

/* A bijection with good avalanche: neighbours in, unrelated words out. */
uint64_t pattern_mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185ull;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44dull;
	x ^= x >> 33;
	return x;
}

static uint64_t pattern_place(uint32_t number, uint32_t generation)
{
	return (uint64_t)generation << 32 | number;
}

static uint64_t pattern_start(uint64_t place, uint64_t seed)
{
	return pattern_mix(place ^ pattern_mix(seed));
}

static uint64_t pattern_next(uint64_t word)
{
	word ^= word << 13;
	word ^= word >> 7;
	word ^= word << 17;
	return word;
}

void pattern_fill(void *block, uint32_t number, uint32_t generation,
		  uint64_t seed)
{
	uint64_t *word = block;
	uint64_t place = pattern_place(number, generation);
	/* xorshift has one fixed point, 0; keep out of it. */
	uint64_t body = pattern_start(place, seed) | 1;
	uint64_t sum = 0;
	unsigned int i;

	word[WORD_MAGIC] = PATTERN_MAGIC;
	word[WORD_PLACE] = place;
	word[WORD_SEED] = seed;
	for (i = WORD_BODY; i < WORD_SUM; i++) {
		body = pattern_next(body);
		word[i] = body;
	}
	for (i = 0; i < WORD_SUM; i++)
		sum = (sum << 1 | sum >> 63) ^ word[i];
	word[WORD_SUM] = sum;
}

static bool pattern_is_whole(const uint64_t *word)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < WORD_SUM; i++)
		sum = (sum << 1 | sum >> 63) ^ word[i];
	return word[WORD_MAGIC] == PATTERN_MAGIC && word[WORD_SUM] == sum;
}

static bool pattern_is_zero(const uint64_t *word)
{
	unsigned int i;

	for (i = 0; i < BLOCK_WORDS; i++)
		if (word[i])
			return false;
	return true;
}

enum pattern_verdict pattern_check(const void *block, uint32_t number,
				   uint32_t generation, uint64_t seed)
{
	uint64_t want[BLOCK_WORDS];
	const uint64_t *have = block;
	unsigned int i;

	pattern_fill(want, number, generation, seed);
	for (i = 0; i < BLOCK_WORDS; i++)
		if (have[i] != want[i])
			break;
	if (i == BLOCK_WORDS)
		return PATTERN_GOOD;
	if (pattern_is_zero(have))
		return PATTERN_ZERO;
	return pattern_is_whole(have) ? PATTERN_STALE : PATTERN_TORN;
}
