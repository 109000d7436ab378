// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "util.h"

static void guest_unmap(struct guest *g)
{
	if (g->mem)
		munmap(g->mem, g->size);
	g->mem = NULL;
}

void guest_close(struct guest *g)
{
	guest_unmap(g);
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	if (g->log)
		munmap(g->log, g->log_size);
	free(g->log_want);
	g->log = NULL;
	g->log_want = NULL;
}

void guest_open(struct guest *g, size_t size, int fd)
{
	memset(g, 0, sizeof(*g));
	g->size = size;
	g->fd = fd >= 0 ? dup(fd) : memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (g->fd < 0 || (fd < 0 && ftruncate(g->fd, size)))
		vt_fatal("guest memory: %s", strerror(errno));
	g->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	if (g->mem == MAP_FAILED)
		vt_fatal("guest memory: mmap: %s", strerror(errno));

	/* One bit per page up to the top of the region. */
	g->log_size = ((GUEST_BASE + size) / PAGE / 8 + PAGE) & ~(PAGE - 1);
	g->log = mmap(NULL, g->log_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g->log_want = calloc(1, g->log_size);
	if (g->log == MAP_FAILED || !g->log_want)
		vt_fatal("dirty log: %s", strerror(errno));
}

void *guest_alloc(struct guest *g, size_t len, size_t align)
{
	size_t at = (g->used + align - 1) & ~(align - 1);

	if (at + len > g->size)
		vt_fatal("guest memory of %zu bytes is used up", g->size);
	g->used = at + len;
	return g->mem + at;
}

uint64_t guest_addr(struct guest *g, const void *p)
{
	return GUEST_BASE + ((const uint8_t *)p - g->mem);
}

uint64_t guest_hash(struct guest *g)
{
	const uint64_t *w = (const uint64_t *)g->mem;
	size_t i, n = (g->used + 7) / 8;
	uint64_t h = 0xcbf29ce484222325ull;

	for (i = 0; i < n; i++)
		h = (h ^ w[i]) * 0x100000001b3ull;
	return h;
}

int guest_seal(struct guest *g)
{
	guest_unmap(g);
	return fcntl(g->fd, F_ADD_SEALS, F_SEAL_WRITE) ? -errno : 0;
}

static void bit_set(uint8_t *map, uint64_t page)
{
	map[page / 8] |= 1u << (page % 8);
}

static bool bit_get(const uint8_t *map, uint64_t page)
{
	return map[page / 8] & (1u << (page % 8));
}

void guest_log_clear(struct guest *g)
{
	memset(g->log, 0, g->log_size);
	memset(g->log_want, 0, g->log_size);
}

bool guest_log_has(struct guest *g, const void *p)
{
	return bit_get(g->log, guest_addr(g, p) / PAGE);
}

void guest_log_want(struct guest *g, const void *p, size_t len)
{
	uint64_t at = guest_addr(g, p), page;

	for (page = at / PAGE; len && page <= (at + len - 1) / PAGE; page++)
		bit_set(g->log_want, page);
}

bool guest_log_covers(struct guest *g, const void *p, size_t len)
{
	uint64_t at = guest_addr(g, p), page;

	for (page = at / PAGE; page <= (at + len - 1) / PAGE; page++)
		if (!bit_get(g->log, page))
			return false;
	return true;
}

unsigned int guest_log_diff(struct guest *g)
{
	unsigned int bad = 0;
	uint64_t page;

	for (page = 0; page < g->log_size * 8; page++) {
		bool want = bit_get(g->log_want, page);

		if (want == bit_get(g->log, page))
			continue;
		if (bad++ < 8)
			vt_note("guest page %#llx %s the log",
				(unsigned long long)page,
				want ? "is missing from" : "should not be in");
	}
	return bad;
}

unsigned int guest_log_count(struct guest *g)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < g->log_size; i++)
		n += __builtin_popcount(g->log[i]);
	return n;
}
