// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's program: writes, reads and checks a disk at random, with direct
 * I/O and several requests in flight, without an end, while the guest is
 * migrated.
 *
 * What makes it a proof is the pool: pages that the program faults in once, at
 * the start, and that only the device writes from then on. The CPU's writes
 * are in KVM's dirty log; a device's are in nobody's but the device's own. A
 * page of the pool that was filled during a migration and arrives with older
 * contents was not logged. Every page is compared, in full, just before it is
 * given to the device again, and all of them when "check" is asked for.
 *
 * Serial protocol. In: "check", "end", "run PROGRAM ARGUMENT...". Out, one line
 * each:
 *   READY  ...            the disk is filled, the work begins
 *   DISK   name=value...  each second
 *   CHECK  name=value...  answer to "check": one full look at the pool
 *   RESULT name=value...  answer to "end", or the end of seconds=
 *   SAID   text           what a program said that was run
 *   RAN    status=N       its end
 *   ERROR  text           cannot go on
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>
#include "aio.h"
#include "boot.h"
#include "command.h"
#include "pattern.h"

#define MAX_DEPTH	64
#define MAX_BLOCKS	16	/* per request */
#define FILL_BLOCKS	64	/* per request, while filling the disk */
#define NSEC		1000000000ull

/* What the disk must hold at one place, and who is at it just now. */
struct block {
	uint32_t generation;
	int8_t users;		/* > 0: reads in flight; -1: a write */
	bool unknown;		/* the last write failed: old or new */
};

struct page {
	uint32_t number;
	uint32_t generation;
	bool filled;		/* by a read that succeeded; to be checked */
	bool in_flight;
};

struct request {
	struct iocb iocb;
	struct iovec iov[MAX_BLOCKS];
	uint32_t page[MAX_BLOCKS];	/* reads: where in the pool */
	uint32_t first;			/* block */
	unsigned int blocks;
	bool write;
	uint8_t *source;		/* writes: MAX_BLOCKS blocks of our own */
	struct request *next_free;
};

struct counters {
	uint64_t reads, writes;		/* requests completed */
	uint64_t checked;		/* pages compared */
	uint64_t corrupt;		/* of these: not what was read into them */
	uint64_t stale, zero, torn;	/* the same, by what they held instead */
	uint64_t disk_wrong;		/* of these: wrong on the disk as well */
	uint64_t failed;		/* requests: error or short */
	uint64_t gap_max;		/* ns between two completions */
};

static struct {
	int fd;
	aio_context_t aio;
	unsigned int depth, pool_pages, blocks, write_percent, seconds;
	uint64_t seed, random;

	uint8_t *pool;
	struct page *pages;
	struct block *disk;
	struct request requests[MAX_DEPTH];
	struct request *free;
	unsigned int in_flight;
	uint8_t *second_look;	/* one block, to ask the disk again */

	struct counters total;
	uint64_t last_completion, start;
	uint64_t gap_window;	/* longest since the last DISK line */
	bool failed_before;	/* first failure is reported in words */
} v;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

static uint32_t random_below(uint32_t limit)
{
	v.random += 0x9e3779b97f4a7c15ull;
	return (pattern_mix(v.random) >> 32) * (uint64_t)limit >> 32;
}

static void fail(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		boot_power_off();
	exit(1);
}

static void *memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

/* A page that is wrong in memory but right on the disk was lost on the way. */
static bool disk_is_right(const struct page *page)
{
	if (pread(v.fd, v.second_look, BLOCK_BYTES,
		  (off_t)page->number * BLOCK_BYTES) != BLOCK_BYTES)
		return false;
	return pattern_check(v.second_look, page->number,
			     v.disk[page->number].generation,
			     v.seed) == PATTERN_GOOD;
}

static void page_check(uint32_t index)
{
	struct page *page = &v.pages[index];
	const struct block *block = &v.disk[page->number];
	enum pattern_verdict verdict;

	if (!page->filled)
		return;
	page->filled = false;
	v.total.checked++;
	verdict = pattern_check(v.pool + (size_t)index * BLOCK_BYTES, page->number,
				page->generation, v.seed);
	if (verdict == PATTERN_GOOD)
		return;
	v.total.corrupt++;
	v.total.stale += verdict == PATTERN_STALE;
	v.total.zero += verdict == PATTERN_ZERO;
	v.total.torn += verdict == PATTERN_TORN;
	/* While a write is in flight the disk may hold either. */
	if (block->users >= 0 && !block->unknown && !disk_is_right(page))
		v.total.disk_wrong++;
}

/* Blocks first..first+blocks: may they be read, or written, now? */
static bool blocks_available(const struct request *r)
{
	unsigned int i;

	for (i = r->first; i < r->first + r->blocks; i++) {
		const struct block *block = &v.disk[i];

		if (r->write ? block->users != 0 :
			       block->users < 0 || block->unknown)
			return false;
	}
	return true;
}

static void request_aim(struct request *r)
{
	/* Half of the requests are one block, the others up to the most. */
	r->write = random_below(100) < v.write_percent;
	do {
		r->blocks = random_below(2) ? 1 : 1 + random_below(MAX_BLOCKS);
		r->first = random_below(v.blocks - r->blocks + 1);
	} while (!blocks_available(r));
}

static void request_prepare_read(struct request *r)
{
	unsigned int i;

	/* Scattered over the pool: as many segments as blocks. */
	for (i = 0; i < r->blocks; i++) {
		uint32_t index;

		do {
			index = random_below(v.pool_pages);
		} while (v.pages[index].in_flight);
		page_check(index);
		v.pages[index].in_flight = true;
		v.pages[index].number = r->first + i;
		v.pages[index].generation = v.disk[r->first + i].generation;
		v.disk[r->first + i].users++;
		r->page[i] = index;
		r->iov[i].iov_base = v.pool + (size_t)index * BLOCK_BYTES;
		r->iov[i].iov_len = BLOCK_BYTES;
	}
}

static void request_prepare_write(struct request *r)
{
	unsigned int i;

	for (i = 0; i < r->blocks; i++) {
		uint32_t number = r->first + i;

		v.disk[number].users = -1;
		pattern_fill(r->source + (size_t)i * BLOCK_BYTES, number,
			     ++v.disk[number].generation, v.seed);
		r->iov[i].iov_base = r->source + (size_t)i * BLOCK_BYTES;
		r->iov[i].iov_len = BLOCK_BYTES;
	}
}

static void request_submit(struct request *r)
{
	struct iocb *iocb = &r->iocb;

	request_aim(r);
	if (r->write)
		request_prepare_write(r);
	else
		request_prepare_read(r);
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = (uintptr_t)r;
	iocb->aio_lio_opcode = r->write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
	iocb->aio_fildes = v.fd;
	iocb->aio_buf = (uintptr_t)r->iov;
	iocb->aio_nbytes = r->blocks;
	iocb->aio_offset = (int64_t)r->first * BLOCK_BYTES;
	if (aio_submit(v.aio, 1, &iocb) != 1)
		fail("io_submit");
	v.in_flight++;
}

static void request_complete(struct request *r, int64_t result)
{
	bool good = result == (int64_t)r->blocks * BLOCK_BYTES;
	unsigned int i;

	if (!good) {
		v.total.failed++;
		if (!v.failed_before)
			printf("NOTE %s of %u blocks at %u: %lld\n",
			       r->write ? "write" : "read", r->blocks, r->first,
			       (long long)result);
		v.failed_before = true;
	}
	for (i = 0; i < r->blocks; i++) {
		struct block *block = &v.disk[r->first + i];

		if (r->write) {
			block->users = 0;
			block->unknown = !good;
		} else {
			block->users--;
			v.pages[r->page[i]].in_flight = false;
			v.pages[r->page[i]].filled = good;
		}
	}
	if (r->write)
		v.total.writes++;
	else
		v.total.reads++;
	r->next_free = v.free;
	v.free = r;
	v.in_flight--;
}

static void note_gap(uint64_t time)
{
	uint64_t gap = time - v.last_completion;

	if (gap > v.gap_window)
		v.gap_window = gap;
	if (gap > v.total.gap_max)
		v.total.gap_max = gap;
}

/* Takes what has completed; waits up to a tenth of a second for the first. */
static void reap(void)
{
	struct io_event events[MAX_DEPTH];
	struct timespec wait = { .tv_nsec = NSEC / 10 };
	int count = aio_wait(v.aio, 1, MAX_DEPTH, events, &wait);
	int i;

	if (count < 0 && errno != EINTR)
		fail("io_getevents");
	if (count <= 0)
		return;
	note_gap(now());
	for (i = 0; i < count; i++)
		request_complete((struct request *)(uintptr_t)events[i].data,
				 events[i].res);
	v.last_completion = now();
}

static void keep_busy(void)
{
	while (v.free) {
		struct request *r = v.free;

		v.free = r->next_free;
		request_submit(r);
	}
}

static void drain(void)
{
	while (v.in_flight)
		reap();
}

static void report(const char *word)
{
	const struct counters *c = &v.total;

	printf("%s ms=%llu reads=%llu writes=%llu checked=%llu", word,
	       (unsigned long long)(now() - v.start) / 1000000,
	       (unsigned long long)c->reads, (unsigned long long)c->writes,
	       (unsigned long long)c->checked);
	printf(" corrupt=%llu stale=%llu zero=%llu torn=%llu",
	       (unsigned long long)c->corrupt, (unsigned long long)c->stale,
	       (unsigned long long)c->zero, (unsigned long long)c->torn);
	printf(" disk_wrong=%llu failed=%llu in_flight=%u",
	       (unsigned long long)c->disk_wrong, (unsigned long long)c->failed,
	       v.in_flight);
	printf(" gap_us=%llu gap_max_us=%llu\n",
	       (unsigned long long)v.gap_window / 1000,
	       (unsigned long long)c->gap_max / 1000);
	fflush(stdout);
	v.gap_window = 0;
}

/* All of the pool, with nothing in flight; the time it takes is no gap. */
static void check_pool(void)
{
	uint32_t i;

	drain();
	for (i = 0; i < v.pool_pages; i++)
		page_check(i);
	v.last_completion = now();
}

static void fill_disk(void)
{
	uint8_t *chunk = memory((size_t)FILL_BLOCKS * BLOCK_BYTES);
	uint32_t number;

	for (number = 0; number < v.blocks;) {
		unsigned int i, count = v.blocks - number;

		if (count > FILL_BLOCKS)
			count = FILL_BLOCKS;
		for (i = 0; i < count; i++)
			pattern_fill(chunk + (size_t)i * BLOCK_BYTES, number + i, 0,
				     v.seed);
		if (pwrite(v.fd, chunk, (size_t)count * BLOCK_BYTES,
			   (off_t)number * BLOCK_BYTES) !=
		    (ssize_t)count * BLOCK_BYTES)
			fail("filling the disk");
		number += count;
	}
	munmap(chunk, (size_t)FILL_BLOCKS * BLOCK_BYTES);
}

static void work(void)
{
	uint64_t next_report = now() + NSEC;
	uint64_t end = v.seconds ? now() + v.seconds * NSEC : UINT64_MAX;
	char line[128];

	v.start = now();
	v.last_completion = now();
	for (;;) {
		keep_busy();
		reap();
		command_poll();
		if (now() >= end)
			return;
		if (now() < next_report)
			continue;
		/* A request that does not come back is a gap already. */
		note_gap(now());
		report("DISK");
		next_report = now() + NSEC;
		if (!boot_line(line, sizeof(line)))
			continue;
		if (!strcmp(line, "end"))
			return;
		if (!strcmp(line, "check")) {
			check_pool();
			report("CHECK");
		} else if (!strncmp(line, "run ", 4)) {
			command_start(line + 4);
		}
	}
}

static void set_up(const char *disk)
{
	uint64_t bytes;
	unsigned int i;

	v.fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (v.fd < 0)
		fail(disk);
	if (ioctl(v.fd, BLKGETSIZE64, &bytes))
		fail("BLKGETSIZE64");
	if (!v.blocks || v.blocks > bytes / BLOCK_BYTES)
		v.blocks = bytes / BLOCK_BYTES;
	if (!v.depth || v.depth > MAX_DEPTH ||
	    v.pool_pages < MAX_DEPTH * MAX_BLOCKS ||
	    v.blocks < 4 * MAX_DEPTH * MAX_BLOCKS) {
		errno = EINVAL;
		fail("depth, pool or disk size");
	}
	if (getrandom(&v.seed, sizeof(v.seed), GRND_NONBLOCK) != sizeof(v.seed))
		v.seed = now();
	v.random = v.seed;
	v.pool = memory((size_t)v.pool_pages * BLOCK_BYTES);
	v.second_look = memory(BLOCK_BYTES);
	v.pages = memory(v.pool_pages * sizeof(*v.pages));
	v.disk = memory(v.blocks * sizeof(*v.disk));
	for (i = 0; i < v.depth; i++) {
		v.requests[i].source = memory(MAX_BLOCKS * BLOCK_BYTES);
		v.requests[i].next_free = v.free;
		v.free = &v.requests[i];
	}
	if (aio_setup(v.depth, &v.aio))
		fail("io_setup");
}

static void read_arguments(int argc, char **argv, char *disk, size_t size)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (sscanf(argv[i], "depth=%u", &v.depth) == 1 ||
		    sscanf(argv[i], "pool=%u", &v.pool_pages) == 1 ||
		    sscanf(argv[i], "blocks=%u", &v.blocks) == 1 ||
		    sscanf(argv[i], "writes=%u", &v.write_percent) == 1 ||
		    sscanf(argv[i], "seconds=%u", &v.seconds) == 1)
			continue;
		if (!strncmp(argv[i], "/dev/", 5))
			snprintf(disk, size, "%s", argv[i]);
	}
}

int main(int argc, char **argv)
{
	char disk[64] = "";
	bool first_process = getpid() == 1;

	v.depth = 16;
	v.pool_pages = 4096;
	v.write_percent = 25;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (first_process) {
		boot_mounts();
		boot_serial("/dev/ttyS0");
		boot_modules("/modules/order");
	}
	read_arguments(argc, argv, disk, sizeof(disk));
	if (!*disk && boot_disk(disk, sizeof(disk), 30)) {
		errno = ENODEV;
		fail("no SCSI disk");
	}
	set_up(disk);
	fill_disk();
	printf("READY disk=%s blocks=%u pool=%u depth=%u\n", disk, v.blocks,
	       v.pool_pages, v.depth);
	work();
	check_pool();
	report("RESULT");
	if (first_process)
		boot_power_off();
	return v.total.corrupt || v.total.failed ? 1 : 0;
}
