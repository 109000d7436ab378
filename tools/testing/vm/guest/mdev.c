// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's program for mcopy devices (samples/vfio-mdev/mcopy_regs.h): keeps
 * their engines and its own CPU copying at random between guest memory and device
 * memory, and checks every byte, without an end, while the guest is migrated.
 *
 * What makes it a proof:
 *   pools	of guest memory that only engines write, so that nobody but the
 *		device can have told that they are dirty. One of them is not
 *		aligned with device memory: each page of a copy is two steps
 *   busy	device memory that engines and the CPU write. Engines reach their
 *		own by its offset and by its DMA address, and the other device's
 *		by its DMA address; the CPU as mdev_place.c says
 *   still	device memory that is written once, at the start
 *   the rest	of device memory is never touched before the end: must be zero
 * A place is compared in full before it is written again, and all of them when
 * "check" is asked for. It knows what it must hold, also after copies of copies.
 *
 * With the argument "disk", verify.c works a disk beside it, in a process of its
 * own, and is told and reports the same.
 *
 * Serial protocol. In: "check", "end". Out, one line each:
 *   MDEV-READY  ...            the work begins
 *   MDEV-WORK   name=value...  each second
 *   MDEV-CHECK  name=value...  answer to "check": a look at everything
 *   MDEV-RESULT name=value...  answer to "end"
 *   NOTE        text           something is wrong
 *   ERROR       text           cannot go on
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "boot.h"
#include "mdev_disk.h"
#include "mdev_engine.h"

#define NSEC		1000000000ull
#define MAX_DEVICES	2
#define HUGE		(2u << 20)	/* bytes: contiguous guest memory */
#define POOLS		3
#define SKEW		1000		/* of the first pool */
#define MAX_PLACES	32		/* per copy */
#define DEPTH		12		/* copies in flight, per device */

static struct {
	struct device devices[MAX_DEVICES];
	struct engine engines[MAX_DEVICES];
	struct area busy[MAX_DEVICES], still[MAX_DEVICES];
	struct area source, pools[POOLS];
	unsigned int count;		/* of devices */
	unsigned int rate;		/* KiB per second and device */
	uint64_t start;
	int64_t budget[MAX_DEVICES];	/* bytes that may be copied now */
	uint64_t budget_at;		/* when it was reckoned */
	uint64_t not_zero;		/* devices whose untouched memory is not */
} v;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

static void fail(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
	boot_power_off();
}

/* Guest memory that is contiguous for the device, and where that is. */
static uint8_t *huge_page(uint64_t *dma)
{
	uint8_t *at = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			   MAP_POPULATE, -1, 0);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (at == MAP_FAILED)
		fail("huge page");
	memset(at, 0, HUGE);
	if (pagemap < 0 || pread(pagemap, &entry, sizeof(entry),
				 (uintptr_t)at / 4096 * 8) != sizeof(entry))
		fail("pagemap");
	close(pagemap);
	*dma = (entry & ((1ull << 55) - 1)) * 4096;
	return at;
}

static void set_up_guest_memory(void)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "we");
	unsigned int i;

	if (!file || fprintf(file, "%d\n", POOLS + 2) < 0 || fclose(file))
		fail("nr_hugepages");
	v.source.owner = -1;
	v.source.cpu = huge_page(&v.source.dma);
	area_init(&v.source, HUGE / BLOCK_BYTES);
	for (i = 0; i < POOLS; i++) {
		struct area *pool = &v.pools[i];
		unsigned int skew = i ? 0 : SKEW;

		pool->owner = -1;
		pool->cpu = huge_page(&pool->dma) + skew;
		pool->dma += skew;
		area_init(pool, (HUGE - skew) / BLOCK_BYTES);
	}
}

static void set_up_device_memory(unsigned int i, struct area *area,
				 uint64_t local, uint64_t bytes)
{
	area->owner = i;
	area->local = local;
	area->cpu = v.devices[i].memory + local;
	area->dma = v.devices[i].memory_dma + local;
	if (!place_is_zero(area->cpu, bytes)) {
		printf("NOTE device memory is not zero after a reset\n");
		v.not_zero++;
	}
	area_init(area, bytes / BLOCK_BYTES);
}

static void set_up(void)
{
	uint64_t seed, dma, bytes;
	int found = device_find(MCOPY_VENDOR_ID, MCOPY_DEVICE_ID, v.devices,
				MAX_DEVICES);
	uint8_t *rings;
	unsigned int i;

	if (found <= 0)
		fail("no mcopy device");
	v.count = found;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = now();
	place_seed(seed);
	set_up_guest_memory();
	rings = huge_page(&dma);
	for (i = 0; i < v.count; i++) {
		if (engine_start(&v.engines[i], &v.devices[i],
				 rings + i * HUGE / MAX_DEVICES,
				 dma + i * HUGE / MAX_DEVICES))
			fail("not an mcopy device");
		/* An eighth is busy, an eighth still. */
		bytes = v.devices[i].memory_bytes / 8;
		set_up_device_memory(i, &v.busy[i], 0, bytes);
		set_up_device_memory(i, &v.still[i], 4 * bytes, bytes);
	}
}

static struct area *random_pool(void)
{
	return &v.pools[place_random(POOLS)];
}

/* What a copy goes between; device @i's engine shall do it. */
static void aim(unsigned int i, struct job *job, bool *from_local, bool *to_local)
{
	struct area *own = &v.busy[i], *peer = &v.busy[(i + 1) % v.count];

	*from_local = true;
	*to_local = false;
	switch (place_random(8)) {
	case 0:
	case 1:	/* guest memory to device memory */
		*job = (struct job){ .from = &v.source, .to = own };
		*from_local = false;
		*to_local = true;
		break;
	case 2:
	case 3:	/* and back */
		*job = (struct job){ .from = own, .to = random_pool() };
		break;
	case 4:	/* within the device */
		*job = (struct job){ .from = own, .to = own };
		*to_local = true;
		break;
	case 5:	/* to its own BAR */
		*job = (struct job){ .from = &v.source, .to = own };
		*from_local = false;
		break;
	case 6:	/* to the peer's BAR */
		*job = (struct job){ .from = own, .to = peer };
		break;
	case 7:	/* from the peer's BAR */
		*job = (struct job){ .from = peer, .to = random_pool() };
		*from_local = false;
		break;
	}
}

/* False if that part of the memory is all in use. */
static bool submit(unsigned int i)
{
	struct engine *engine = &v.engines[i];
	bool from_local, to_local;
	int64_t source, destination;
	struct job job;
	uint32_t n;

	aim(i, &job, &from_local, &to_local);
	job.count = place_random(2) ? 1 : 1 + place_random(MAX_PLACES);
	job.interrupt = place_random(2);
	destination = area_choose(job.to, job.count, true);
	if (destination < 0)
		return false;
	/* Not to be chosen for the source as well. */
	for (n = 0; n < job.count; n++)
		job.to->places[destination + n].users = -1;
	source = area_choose(job.from, job.count, job.from == &v.source);
	for (n = 0; n < job.count; n++)
		job.to->places[destination + n].users = 0;
	if (source < 0)
		return false;
	job.source = source;
	job.destination = destination;
	for (n = 0; n < job.count; n++) {
		place_check(job.to, destination + n);
		if (job.from == &v.source)
			place_fill(job.from, source + n);
	}
	v.budget[i] -= job.count * BLOCK_BYTES;
	return engine_copy(engine, &job, from_local, to_local);
}

/* The CPU's own share: reads, and stores. */
static void store(unsigned int i)
{
	int64_t place = area_choose(&v.busy[i], 1, true);

	if (place < 0)
		return;
	place_check(&v.busy[i], place);
	place_fill(&v.busy[i], place);
	v.budget[i] -= BLOCK_BYTES;
}

static void keep_busy(unsigned int i)
{
	struct engine *engine = &v.engines[i];

	while (v.budget[i] > 0 && engine->tail - engine->head < DEPTH) {
		store(i);
		if (!submit(i))
			break;
	}
	engine_doorbell(engine);
}

static void reckon_budget(void)
{
	uint64_t time = now(), passed = time - v.budget_at;
	unsigned int i;

	if (passed < NSEC / 100)
		return;
	/* A stop of the guest is not made up for. */
	if (passed > NSEC / 4)
		passed = NSEC / 4;
	for (i = 0; i < v.count; i++) {
		if (v.budget[i] < 0 || v.budget[i] < v.rate * 256ll)
			v.budget[i] += v.rate * 1024ull * passed / NSEC;
	}
	v.budget_at = time;
}

static void wait_a_little(void)
{
	struct pollfd fds[MAX_DEVICES + 1];
	unsigned int i;

	for (i = 0; i < v.count; i++)
		fds[i] = (struct pollfd){ .fd = v.devices[i].uio,
					  .events = POLLIN };
	fds[i] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	poll(fds, v.count + 1, 10);
	for (i = 0; i < v.count; i++)
		engine_serve(&v.engines[i]);
}

static void report(const char *word)
{
	const struct engine_counters *e = &engine_counters;
	const struct place_counters *p = &place_counters;

	printf("MDEV-%s ms=%llu copies=%llu bytes=%llu stored=%llu interrupts=%llu",
	       word, (unsigned long long)(now() - v.start) / 1000000,
	       (unsigned long long)e->copies, (unsigned long long)e->bytes,
	       (unsigned long long)p->stored, (unsigned long long)e->interrupts);
	printf(" checked=%llu wrong=%llu stale=%llu zero=%llu torn=%llu wrong_bytes=%llu",
	       (unsigned long long)p->checked, (unsigned long long)p->wrong,
	       (unsigned long long)p->stale, (unsigned long long)p->zero,
	       (unsigned long long)p->torn, (unsigned long long)p->wrong_bytes);
	printf(" failed=%llu lost=%llu no_interrupt=%llu empty=%llu",
	       (unsigned long long)e->failed, (unsigned long long)e->lost,
	       (unsigned long long)e->no_interrupt, (unsigned long long)e->empty);
	printf(" wrong_registers=%llu not_zero=%llu gap_max_us=%llu\n",
	       (unsigned long long)e->wrong_registers,
	       (unsigned long long)v.not_zero,
	       (unsigned long long)e->gap_max / 1000);
}

static void check(void)
{
	unsigned int i;

	for (i = 0; i < v.count;) {
		if (engine_is_idle(&v.engines[i]))
			i++;
		else
			wait_a_little();
	}
	area_check(&v.source);
	for (i = 0; i < POOLS; i++)
		area_check(&v.pools[i]);
	for (i = 0; i < v.count; i++) {
		area_check(&v.busy[i]);
		area_check(&v.still[i]);
		engine_check(&v.engines[i]);
	}
}

static void check_untouched(void)
{
	unsigned int i;

	for (i = 0; i < v.count; i++) {
		uint64_t eighth = v.devices[i].memory_bytes / 8;

		if (!place_is_zero(v.devices[i].memory + eighth, 3 * eighth) ||
		    !place_is_zero(v.devices[i].memory + 5 * eighth, 3 * eighth))
			v.not_zero++;
	}
}

static void work(void)
{
	uint64_t next_report = now() + NSEC;
	char line[64];
	unsigned int i;

	v.start = now();
	v.budget_at = now();
	for (;;) {
		reckon_budget();
		for (i = 0; i < v.count; i++)
			keep_busy(i);
		wait_a_little();
		if (now() >= next_report) {
			report("WORK");
			next_report = now() + NSEC;
		}
		if (!boot_line(line, sizeof(line)))
			continue;
		disk_command(line);
		if (!strcmp(line, "end"))
			return;
		if (!strcmp(line, "check")) {
			check();
			report("CHECK");
		}
	}
}

int main(int argc, char **argv)
{
	bool disk = false;
	int i;

	v.rate = 2048;
	setvbuf(stdout, NULL, _IOLBF, 0);
	boot_mounts();
	boot_serial("/dev/ttyS0");
	/* After a reboot, half a line of before may be left. */
	printf("\n");
	boot_modules("/modules/order");
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "disk"))
			disk = true;
		else if (sscanf(argv[i], "rate=%u", &v.rate) != 1)
			printf("NOTE argument %s ignored\n", argv[i]);
	}
	set_up();
	if (disk && disk_start())
		fail("verify");
	printf("MDEV-READY devices=%u memory=%llu rate=%u stores=%s\n", v.count,
	       (unsigned long long)v.devices[0].memory_bytes, v.rate,
	       place_store_name());
	work();
	check();
	check_untouched();
	report("RESULT");
	disk_wait();
	boot_power_off();
}
