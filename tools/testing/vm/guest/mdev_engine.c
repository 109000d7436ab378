// SPDX-License-Identifier: GPL-2.0
/*
 * Completions are looked at only after an interrupt. So a completion that no
 * interrupt follows is overdue after a while, and found then, and counted; the
 * work goes on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "mdev_engine.h"

#define NSEC		1000000000ull
/*
 * Of the guest's clock, which stands still while the guest is stopped. A step of
 * the engine can wait for the migration, so this is long.
 */
#define OVERDUE		(20 * NSEC)
#define LAST_WORD_MS	2000
/* When an interrupt may have been sent to the wrong place by a migration. */
#define SILENT		NSEC

struct engine_counters engine_counters;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

int engine_start(struct engine *engine, struct device *device, void *ring,
		 uint64_t dma)
{
	memset(engine, 0, sizeof(*engine));
	engine->device = device;
	engine->ring = ring;
	if (device_read(device, MCOPY_REG_ID) != MCOPY_ID ||
	    device_read(device, MCOPY_REG_VERSION) != MCOPY_VERSION ||
	    device_read64(device, MCOPY_REG_MEM_SIZE) != device->memory_bytes) {
		errno = ENODEV;
		return -1;
	}
	device_write(device, MCOPY_REG_CTRL, MCOPY_CTRL_RESET);
	device_write64(device, MCOPY_REG_RING_BASE, dma);
	device_write(device, MCOPY_REG_RING_SIZE, RING_SIZE);
	device_write(device, MCOPY_REG_INT_ENABLE, MCOPY_INT_ALL);
	device_write(device, MCOPY_REG_CTRL, MCOPY_CTRL_ENABLE);
	device_unmask(device);
	return 0;
}

bool engine_is_idle(const struct engine *engine)
{
	return engine->head == engine->tail;
}

static void take_places(const struct job *job)
{
	uint32_t i;

	for (i = 0; i < job->count; i++) {
		job->from->places[job->source + i].users++;
		job->to->places[job->destination + i].users = -1;
	}
}

/* What the contents are moves with them. */
static void give_places_back(const struct job *job)
{
	uint32_t i;

	for (i = 0; i < job->count; i++) {
		struct place *from = &job->from->places[job->source + i];
		struct place *to = &job->to->places[job->destination + i];

		to->number = from->number;
		to->generation = from->generation;
		to->users = 0;
		from->users--;
	}
}

static uint64_t address(const struct area *area, uint32_t place, bool local)
{
	return (local ? area->local : area->dma) + (uint64_t)place * BLOCK_BYTES;
}

bool engine_copy(struct engine *engine, const struct job *job, bool from_local,
		 bool to_local)
{
	struct mcopy_desc *desc = &engine->ring[engine->tail % RING_SIZE];

	if (engine->tail - engine->head == RING_SIZE)
		return false;
	take_places(job);
	engine->jobs[engine->tail % RING_SIZE] = *job;
	desc->src = address(job->from, job->source, from_local);
	desc->dst = address(job->to, job->destination, to_local);
	desc->length = job->count * BLOCK_BYTES;
	desc->flags = (from_local ? MCOPY_DESC_SRC_LOCAL : 0) |
		      (to_local ? MCOPY_DESC_DST_LOCAL : 0) |
		      (job->interrupt ? MCOPY_DESC_INT : 0);
	desc->status = 0;
	desc->cookie = engine->tail++;
	return true;
}

void engine_doorbell(struct engine *engine)
{
	const uint32_t last = (engine->tail - 1) % RING_SIZE;

	if (engine->announced == engine->tail)
		return;
	/* An end that nothing tells of is nobody's fault but ours. */
	engine->jobs[last].interrupt = true;
	engine->ring[last].flags |= MCOPY_DESC_INT;
	if (engine->announced == engine->head)
		engine->since = now();
	engine->announced = engine->tail;
	/* Descriptors and data first. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	device_write(engine->device, MCOPY_REG_RING_TAIL, engine->tail);
}

static void complete(struct engine *engine, const char *why)
{
	const struct mcopy_desc *desc = &engine->ring[engine->head % RING_SIZE];
	const struct job *job = &engine->jobs[engine->head % RING_SIZE];
	uint32_t status = __atomic_load_n(&desc->status, __ATOMIC_ACQUIRE);

	if (status != MCOPY_DESC_DONE || desc->cookie != engine->head) {
		if (!engine_counters.failed)
			printf("NOTE descriptor %u has status %u, cookie %u%s\n",
			       engine->head, status, desc->cookie, why);
		engine_counters.failed++;
	}
	engine_counters.copies++;
	engine_counters.bytes += job->count * BLOCK_BYTES;
	engine->bytes += job->count * BLOCK_BYTES;
	give_places_back(job);
	engine->head++;
}

/* Acknowledges, then looks as far as RING_HEAD says: in this order. */
static void look(struct engine *engine, bool interrupted)
{
	const struct device *device = engine->device;
	uint32_t bits = device_read(device, MCOPY_REG_INT_STATUS), head;

	device_write(device, MCOPY_REG_INT_STATUS, bits);
	head = device_read(device, MCOPY_REG_RING_HEAD);
	if (head - engine->head > engine->tail - engine->head) {
		printf("NOTE RING_HEAD is %u, not from %u to %u\n", head,
		       engine->head, engine->tail);
		engine_counters.wrong_registers++;
		head = engine->head;
	}
	if (bits & ~MCOPY_INT_DONE)
		printf("NOTE INT_STATUS %#x, STATUS %#x\n", bits,
		       device_read(device, MCOPY_REG_STATUS));
	if (interrupted && !bits && head == engine->head)
		engine_counters.empty++;
	if (head != engine->head) {
		uint64_t gap = now() - engine->since;

		if (gap > engine_counters.gap_max)
			engine_counters.gap_max = gap;
		engine->since = now();
	}
	while (engine->head != head) {
		if (!interrupted &&
		    engine->jobs[engine->head % RING_SIZE].interrupt)
			engine_counters.no_interrupt++;
		complete(engine, interrupted ? "" : ", without an interrupt");
	}
	device_unmask(device);
}

/* The interrupt may be on its way; that is what the last wait is for. */
static void overdue(struct engine *engine)
{
	struct pollfd uio = { .fd = engine->device->uio, .events = POLLIN };
	uint32_t before = engine->head;

	if (poll(&uio, 1, LAST_WORD_MS) == 1)
		return;
	printf("NOTE %s: no interrupt: INT_STATUS %#x, RING_HEAD %u of %u to %u\n",
	       engine->device->name,
	       device_read(engine->device, MCOPY_REG_INT_STATUS),
	       device_read(engine->device, MCOPY_REG_RING_HEAD), engine->head,
	       engine->tail);
	look(engine, false);
	if (engine->head == before)
		engine_counters.lost += engine->tail - engine->head;
	engine->since = now();
}

void engine_serve(struct engine *engine)
{
	uint32_t interrupts = device_take_interrupts(engine->device);

	if (interrupts) {
		engine_counters.interrupts += interrupts;
		look(engine, true);
	} else if (engine->announced != engine->head) {
		uint64_t silent = now() - engine->since;

		if (silent > OVERDUE)
			overdue(engine);
		else if (silent > SILENT)
			device_reroute();
	}
}

void engine_check(struct engine *engine)
{
	const struct device *device = engine->device;
	uint64_t bytes = device_read64(device, MCOPY_REG_BYTES);
	uint64_t scratch = device_read64(device, MCOPY_REG_SCRATCH);
	uint32_t tail = device_read(device, MCOPY_REG_RING_TAIL);

	if (bytes != engine->bytes || scratch != engine->scratch ||
	    tail != engine->tail) {
		printf("NOTE %s: BYTES %#llx not %#llx, ", device->name,
		       (unsigned long long)bytes,
		       (unsigned long long)engine->bytes);
		printf("SCRATCH %#llx not %#llx, RING_TAIL %u not %u\n",
		       (unsigned long long)scratch,
		       (unsigned long long)engine->scratch, tail, engine->tail);
		engine_counters.wrong_registers++;
	}
	engine->scratch = now() * 0x9e3779b97f4a7c15ull;
	device_write64(device, MCOPY_REG_SCRATCH, engine->scratch);
}
