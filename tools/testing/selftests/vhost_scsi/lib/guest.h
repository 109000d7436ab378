/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: one region, shared and sealable, that a bump allocator hands
 * out; and the dirty log over it.
 */
#ifndef VT_GUEST_H
#define VT_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul
/* Not 0 and not the user address, so that mixing the two up shows. */
#define GUEST_BASE 0x40000000ull

struct guest {
	uint8_t *mem;
	size_t size;
	size_t used;
	int fd;

	uint8_t *log;
	size_t log_size;
	uint8_t *log_want;
};

/* A memfd of this size; or the file given (fd >= 0), whose holder is the caller. */
void guest_open(struct guest *g, size_t size, int fd);
void guest_close(struct guest *g);

/* Zeroed guest memory; align is a power of two. Never given back. */
void *guest_alloc(struct guest *g, size_t len, size_t align);
uint64_t guest_addr(struct guest *g, const void *p);

/* Word-wise hash of everything handed out so far. */
uint64_t guest_hash(struct guest *g);

/* Unmaps the memory and seals the memfd against writes: 0 or -errno. */
int guest_seal(struct guest *g);

/* The dirty log's bitmap, page-aligned, one bit per 4 KiB of guest address. */
void guest_log_clear(struct guest *g);
bool guest_log_has(struct guest *g, const void *p);
/* Every page of [p, p + len) is to be in the log. */
void guest_log_want(struct guest *g, const void *p, size_t len);
bool guest_log_covers(struct guest *g, const void *p, size_t len);
/* Pages missing from the log plus pages in it that nobody wanted. */
unsigned int guest_log_diff(struct guest *g);
unsigned int guest_log_count(struct guest *g);

#endif
