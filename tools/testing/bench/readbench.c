// SPDX-License-Identifier: GPL-2.0
/*
 * What a 4 KiB READ costs on a backend that moves no data, and what kernel
 * memory SET_ENDPOINT takes for one I/O queue of 128.  Prints "CASE FIGURE"
 * lines.  In a VM where a nanosecond is an instruction the times are
 * instructions of the whole machine, this client included.
 *
 *	readbench [-o ATTRIBUTE=VALUE]...	(of the backstore)
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmem.h"
#include "rig.h"

#define QUEUE 128
#define WARM_UP 500
#define REQUESTS 3000	/* of one round */
#define ROUNDS 21
#define THINK 310	/* instructions between answers and kick, more each round */
#define CYCLES 9	/* of start and stop */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Waits for the call eventfd, as an event loop does. */
static void wait_call(struct ring *vr)
{
	struct pollfd p = { .fd = vr->call, .events = POLLIN };

	while (vr->used_seen == __atomic_load_n(&vr->used->idx, __ATOMIC_ACQUIRE)) {
		if (poll(&p, 1, WAIT_MS) != 1)
			vt_fatal("a request is lost");
		eventfd_take(vr->call);
	}
}

static void think(unsigned long instructions)
{
	unsigned long loops = instructions / 2;

	if (loops)
		asm volatile("1: dec %0; jnz 1b" : "+r"(loops));
}

/*
 * The heads that are back are made available again as they are, all at once:
 * a guest's driver does that little per request.  Returns how often it was
 * woken.
 */
static unsigned int run(struct ring *vr, unsigned int requests,
			unsigned long thinks)
{
	unsigned int done = 0, woken = 0;

	while (done < requests) {
		uint16_t idx;

		wait_call(vr);
		idx = __atomic_load_n(&vr->used->idx, __ATOMIC_ACQUIRE);
		while (vr->used_seen != idx) {
			uint16_t id = vr->used->ring[vr->used_seen++ % vr->num].id;

			vring_post_head(vr, id);
			done++;
		}
		think(thinks);
		vring_kick(vr);
		woken++;
	}
	return woken;
}

/*
 * How long each task runs decides in which order the scheduler lets them run.
 * On 6.12 that is worth a fifth of a request, and a few instructions more or
 * less of anybody's can tip it.  So the client takes another time to think in
 * each round, which is not counted, and the mean is told.
 */
static void bench_depth(struct rig *rig, unsigned int depth)
{
	struct ring *vr = &rig->d.q[Q_IO];
	struct req **r = vt_zalloc(depth * sizeof(*r));
	double sum = 0;

	for (unsigned int i = 0; i < depth; i++) {
		r[i] = req_read(&rig->d, i * 8, 8);
		req_post(r[i], Q_IO);
	}
	vring_kick(vr);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned long thinks = i * THINK;
		uint64_t start;

		run(vr, WARM_UP, thinks);
		start = now_ns();
		sum -= (double)run(vr, REQUESTS, thinks) * thinks;
		sum += now_ns() - start;
	}
	if (!vring_drain(vr, WAIT_MS) || reqs_not_good(r, depth))
		vt_fatal("the requests did not succeed");
	printf("READ_depth_%u %.0f\n", depth, sum / ROUNDS / REQUESTS);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static void bench_memory(struct rig *rig)
{
	double taken[CYCLES];

	/* What the first start leaves in caches is not the queue's. */
	if (device_start(&rig->d, NULL) || device_stop(&rig->d))
		vt_fatal("start and stop do not work");
	for (unsigned int i = 0; i < CYCLES; i++) {
		long before = kmem_used();

		if (device_start(&rig->d, NULL))
			vt_fatal("SET_ENDPOINT failed");
		taken[i] = kmem_used() - before;
		device_stop(&rig->d);
	}
	printf("memory_of_a_queue %.0f\n", median(taken, CYCLES));
}

int main(int argc, char **argv)
{
	struct rig rig;
	int c;

	/* Measured on both drivers: used.len is not what this is about. */
	setenv("LAB_MODULE", "stock", 1);
	RIG_UP(&rig, .kind = RIG_NULL, .dev.num = QUEUE);
	while ((c = getopt(argc, argv, "o:")) == 'o') {
		char *value = strchr(optarg, '=');
		int ret;

		if (!value)
			vt_fatal("-o wants ATTRIBUTE=VALUE");
		*value++ = '\0';
		ret = backstore_attr(rig.bs, optarg, strtoul(value, NULL, 0));
		if (ret)
			vt_fatal("attribute %s: %s", optarg, strerror(-ret));
	}
	if (c != -1 || optind != argc)
		vt_fatal("usage: readbench [-o ATTRIBUTE=VALUE]...");
	bench_depth(&rig, 1);
	bench_depth(&rig, 32);
	device_stop(&rig.d);
	bench_memory(&rig);
	fflush(stdout);
	undo_all();
	return 0;
}
