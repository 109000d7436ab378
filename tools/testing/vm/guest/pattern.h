/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a block of the checked disk holds: every word depends on the block's
 * number, its generation (how often it was written) and the run's seed, so
 * that no word can be stale, misplaced or torn without being noticed.
 */
#ifndef GUEST_PATTERN_H
#define GUEST_PATTERN_H

#include <stdint.h>

#define BLOCK_BYTES	4096u
#define BLOCK_WORDS	(BLOCK_BYTES / sizeof(uint64_t))

enum pattern_verdict {
	PATTERN_GOOD,	/* holds exactly what was asked for */
	PATTERN_STALE,	/* a whole block, but of another number or generation */
	PATTERN_ZERO,	/* never written by the device */
	PATTERN_TORN,	/* anything else */
};

void pattern_fill(void *block, uint32_t number, uint32_t generation,
		  uint64_t seed);
enum pattern_verdict pattern_check(const void *block, uint32_t number,
				   uint32_t generation, uint64_t seed);
uint64_t pattern_mix(uint64_t x);

#endif
